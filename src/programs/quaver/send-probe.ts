/** `quaver send --probe`: the replies of a recipient's server to us, and its TLS, up to RCPT.
 *  Knows:  the way that mail takes (senderroutes, smtproutes, MX). Never: sends a message, or a password; verifies as a delivery
 *          would have to by tlshosts/: it says what a verification would find.
 *  Fails:  a server that cannot be reached is a result, and the next one is asked. */
import { type ByteString, fromText, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { SystemDns } from '../../clients/dns/resolver.ts'
import { LineSession, type TlsFound } from '../../clients/line-session.ts'
import { MailExchangers, type Target, type Targets } from '../../clients/smtp/mail-exchangers.ts'
import { chooseRoute, smtpsPort } from '../../protocols/qmail/smtproutes.ts'
import { isMailDomain } from '../../protocols/smtp/mail-domain.ts'
import { Control } from '../../stores/control/control.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'

const replyMillisecondsMax = 60_000
const queryLimits = { queryMilliseconds: 3_000, triesMax: 2 }

interface Said {
  readonly command: string
  readonly reply: string
  readonly milliseconds: number
}

export interface Probed {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly said: readonly Said[]
  /** Undefined: it was not encrypted. */
  readonly tls: TlsFound | undefined
  /** Of the reply to RCPT; 0 if the session ended before. */
  readonly code: number
  /** Why the session ended before RCPT; empty if it did not. */
  readonly fault: string
}

export async function probe(home: Home, sender: ByteString, recipient: ByteString, json: boolean): Promise<void> {
  const targets = await findTargets(home, sender, recipient)
  if (targets.kind === 'failed') {
    const { class: failureClass, peerText, logText } = targets.status
    const code = failureClass === 5 ? exitCode.permanent : exitCode.temporary
    throw new CommandError(harmless(`${toText(peerText)} ${logText}`.trim()), code)
  }
  const helo = toText(new Control(home.control, realClock).optionalLine('helohost') ?? 'localhost')
  const probed: Probed[] = []
  for (const target of targets.targets) {
    const one = await probeTarget(target, helo, toText(sender), toText(recipient))
    probed.push(one)
    if (!json) show(one)
    if (one.code !== 0) break
  }
  if (json) printJson(probed)
  const code = probed.at(-1)?.code ?? 0
  if (code < 200 || code >= 300) process.exitCode = code >= 500 ? exitCode.permanent : exitCode.temporary
}

async function findTargets(home: Home, sender: ByteString, recipient: ByteString): Promise<Targets> {
  const control = new Control(home.control, realClock)
  const domain = recipient.slice(recipient.lastIndexOf('@') + 1)
  if (!recipient.includes('@') || !isMailDomain(domain))
    throw new CommandError(`'${harmless(toText(recipient))}' has no domain whose server could be asked`, exitCode.usage)
  const route = chooseRoute(sender, domain, {
    senderroutes: control.map('senderroutes'),
    smtproutes: control.map('smtproutes'),
  })
  if (route.kind === 'unreadable')
    throw new CommandError(`'${harmless(toText(route.text))}' in control/smtproutes or senderroutes is no relay`)
  const exchangers = new MailExchangers({
    dns: new SystemDns(realClock, (control.list('dnsservers') ?? []).map(toText), queryLimits),
    random: realRandom,
    isOurs: () => false,
    isDead: () => false,
  })
  return route.kind === 'relay' ? await exchangers.ofRelay(route.relay) : await exchangers.ofDomain(domain)
}

/** `sender` empty: as of a bounce. */
export async function probeTarget(target: Target, helo: string, sender: string, recipient: string): Promise<Probed> {
  const said: Said[] = []
  let tls: TlsFound | undefined
  let code = 0
  const end = (fault: string): Probed => ({ ...target, said, tls, code, fault })
  let session: LineSession
  try {
    const place = { host: target.address, port: target.port, tls: target.port === smtpsPort, name: target.name }
    session = await LineSession.open(place, realClock, replyMillisecondsMax)
  } catch (error) {
    return end(describeError(error))
  }
  const say = async (command: string): Promise<number> => {
    const begun = realClock.monotonic()
    const reply = (await session.say(command)).trimEnd()
    said.push({ command, reply, milliseconds: Math.round(realClock.monotonic() - begun) })
    return Number(/^\d{3}/.exec(reply)?.[0] ?? 0)
  }
  const need = async (command: string, wanted: number): Promise<void> => {
    const found = await say(command)
    if (found !== wanted) throw new Error(`${command === '' ? 'its greeting' : command} was answered ${found}`)
  }
  try {
    tls = session.tls()
    await need('', 220)
    await need(`EHLO ${helo}`, 250)
    if (
      tls === undefined &&
      /^250[ -]STARTTLS\r?$/im.test(said.at(-1)?.reply ?? '') &&
      (await say('STARTTLS')) === 220
    ) {
      await session.secure(target.name)
      tls = session.tls()
      await need(`EHLO ${helo}`, 250)
    }
    await need(`MAIL FROM:<${sender}>`, 250)
    code = await say(`RCPT TO:<${recipient}>`)
    await session.say('QUIT').catch(() => undefined)
    return end('')
  } catch (error) {
    return end(describeError(error))
  } finally {
    session.close()
  }
}

function show({ name, address, port, said, tls, fault }: Probed): void {
  print(styled('bold', harmless(name === address ? `${address}:${port}` : `${name} (${address}:${port})`)))
  if (tls !== undefined && said.every(({ command }) => command !== 'STARTTLS')) showTls(tls)
  for (const { command, reply, milliseconds } of said) {
    if (command !== '') print(`  ${styled('dim', '>')} ${harmless(command)}`)
    for (const line of reply.split(/\r?\n/)) print(`  ${styled('dim', '<')} ${harmless(line)}`)
    if (milliseconds >= 1000) print(styled('yellow', `    after ${(milliseconds / 1000).toFixed(1)} s`))
    if (command === 'STARTTLS' && tls !== undefined) showTls(tls)
  }
  if (tls === undefined && said.length > 0) print(`  ${styled('yellow', 'not encrypted')}`)
  if (fault !== '') print(`  ${styled('red', harmless(fault))}`)
}

function showTls({ protocol, cipher, subject, issuer, validTo, trouble }: TlsFound): void {
  print(
    `    ${protocol} ${cipher}; certificate of ${harmless(subject)}, by ${harmless(issuer)}, until ${harmless(validTo)}`,
  )
  print(
    trouble === ''
      ? `    ${styled('green', 'it verifies')}`
      : `    ${styled('yellow', `it does not verify: ${harmless(trouble)}`)}`,
  )
}

/** For the command line. */
export function onlyRecipient(recipients: readonly string[]): ByteString {
  const [only] = recipients
  if (only === undefined || recipients.length > 1)
    throw new CommandError('--probe asks about one recipient', exitCode.usage)
  return fromText(only)
}
