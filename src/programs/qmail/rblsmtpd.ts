/** rblsmtpd(1): asks DNS lists about TCPREMOTEIP; then becomes the next program, or refuses all mail by SMTP.
 *  Knows:  the options in their order, in which the lists are asked.
 *  Never:  takes a list's refusal to serve us (127.255.255.0/24), or TXT records alone, for a listing.
 *  Fails:  without a DNS answer the client counts as not listed (-C), or is refused temporarily (-c). */
import type { ByteString } from '../../base/byte-string.ts'
import type { RecordDns } from '../../clients/dns/dns.ts'
import {
  blockedLine,
  listName,
  listText,
  type ListUse,
  readListAnswer,
  readRblsmtpd,
} from '../../protocols/dnsbl/dnsbl.ts'
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { parseSeconds } from '../../protocols/qmail/quantity.ts'
import { quoted, formatReply, type Reply } from '../../protocols/smtp/replies.ts'
import { serveStream } from '../../servers/descriptors/session-on-stream.ts'
import { listenerLimits } from '../../servers/listener/limits.ts'
import { realClock } from '../../system/clock.ts'
import { standardStream } from '../../system/standard-stream.ts'
import { RefusingSession } from './refusing-session.ts'
import { type Call, exit, Fatal } from './call.ts'
import { becomeNext, waitForGreeting } from './front-programs.ts'
import { type ParsedOptions, parseOptions } from './options.ts'

const usage = 'rblsmtpd: usage: rblsmtpd [ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]'
const sessionSeconds = 60

export interface Block {
  readonly code: 451 | 553
  readonly text: ByteString
}

export async function rblsmtpd(call: Call): Promise<number> {
  const { options, operands } = parseOptions(call.args, 't:bBcCr:a:iw:W', 'rblsmtpd', usage)
  if (operands.length === 0) throw new Fatal(exit.permanent, usage)
  const value = (letter: string): ByteString | undefined => options.findLast((one) => one.letter === letter)?.value
  const waits = options.some(({ letter }) => letter === 'W') ? call.variables.get('GREETDELAY') : value('w')
  if (!waitForGreeting(call, waits)) return exit.temporary
  const ip = call.variables.get('TCPREMOTEIP') ?? ''
  const block = await blockOf(call, ip, options)
  if (block === undefined) return await becomeNext(call, operands)
  call.err(`${blockedLine(ip, call.pid, block.code, block.text)}\n`)
  const reply = quoted(block.code, block.text)
  const seconds = parseSeconds(value('t') ?? '') ?? sessionSeconds
  if (seconds === 0) call.out(formatReply(reply, false))
  else await refuse(reply, seconds)
  return exit.ok
}

async function blockOf(call: Call, ip: string, options: ParsedOptions['options']): Promise<Block | undefined> {
  const said = readRblsmtpd(call.variables.get('RBLSMTPD'))
  if (said.kind === 'blocked') return said
  const address = parseIp(ip)?.toByteArray()
  if (said.kind === 'pass' || address === undefined) return undefined
  const { SystemDns } = await import('../../clients/dns/resolver.ts')
  return await lookUp(new SystemDns(realClock), address, options)
}

/** The result of the first list that has one. */
export async function lookUp(
  dns: Pick<RecordDns, 'a' | 'txt'>,
  address: readonly number[],
  options: ParsedOptions['options'],
): Promise<Block | undefined> {
  let code: Block['code'] = 451
  let isStrict = false
  let isTrouble = false
  for (const { letter, value } of options) {
    if (letter === 'b') code = 553
    else if (letter === 'B') code = 451
    else if (letter === 'c') isStrict = true
    else if (letter === 'C') isStrict = false
    else if (letter === 'r' || letter === 'a') {
      const use: ListUse = letter === 'a' ? 'allow' : 'block'
      const name = listName(address, value)
      const found = name === undefined ? undefined : await dns.a(name)
      if (found === undefined || found.kind === 'soft') {
        if (isStrict && letter === 'r') return { code: 451, text: 'temporary RBL lookup error' }
        isTrouble = true
        continue
      }
      if (found.kind !== 'found' || readListAnswer(found.values, use).kind !== 'listed') continue
      if (use === 'allow') return undefined
      return { code: isTrouble ? 451 : code, text: await textOf(dns, name ?? '', value) }
    }
  }
  return undefined
}

async function textOf(dns: Pick<RecordDns, 'txt'>, name: string, zone: ByteString): Promise<ByteString> {
  const answer = await dns.txt(name)
  const text = answer.kind === 'found' ? listText(answer.values[0] ?? '').trim() : ''
  return text === '' ? `your address is listed by ${listText(zone)}` : text
}

async function refuse(reply: Reply, seconds: number): Promise<void> {
  await serveStream(
    standardStream(),
    { limits: listenerLimits, clock: realClock },
    (port) => new RefusingSession(reply, seconds * 1000, realClock, port),
  )
}
