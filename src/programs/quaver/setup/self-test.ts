/** The test that ends a set-up: a message through every service, and whether a stranger could send through us.
 *  Knows:  what `start` says it listens on. Never: leaves its messages in the mailbox.
 *  Fails:  nothing throws; each part says what it saw. */
import { randomUUID } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { toText } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import { askAll } from '../../../clients/admin/ask.ts'
import { field, fieldsOf, textField } from '../../../clients/admin/row.ts'
import { LineSession } from '../../../clients/line-session.ts'
import { asOwner } from '../../../system/as-owner.ts'
import { parseAddress } from '../../../system/bind.ts'
import type { Account } from '../../../stores/accounts/accounts.ts'
import { Control } from '../../../stores/control/control.ts'
import { type Home, socketPath } from '../../../stores/home/layout.ts'
import { realClock } from '../../../system/clock.ts'

export interface TestedPart {
  readonly name: string
  readonly state: 'passed' | 'failed' | 'skipped'
  readonly text: string
}

const replyMillisecondsMax = 30_000
const arrivalMillisecondsMax = 60_000
const pollMilliseconds = 100
const markField = 'X-Quaver-Test'
const messageBytesMax: number = 64 * 1024
/** Of a stranger: an address for documentation (RFC 5737), whom no rule names. */
const stranger = '192.0.2.1'

/** `password`: of the account, if it is known; without it nobody can log in for the test. */
export async function testServices(home: Home, account: Account, password: string | undefined): Promise<TestedPart[]> {
  const listening = await listeningAt(home)
  const parts: TestedPart[] = []
  const login = password === undefined ? undefined : { address: account.address, password }
  const unknownPassword = `its password is not known here: quaver account password ${account.address} makes another`
  const port = (name: string) => placeOf(listening, name)
  await part(parts, 'SMTP', port('smtp'), async (at) => {
    const letter = new Letter(account)
    await sendBySmtp({ ...at, tls: false }, letter, undefined)
    return await letter.arrived()
  })
  for (const [name, title, tls] of [
    ['submission', 'submission with STARTTLS', false],
    ['submissions', 'submission in TLS', true],
  ] as const)
    await part(parts, title, login === undefined ? unknownPassword : port(name), async (at) => {
      const letter = new Letter(account)
      await sendBySmtp({ ...at, tls }, letter, login)
      return await letter.arrived()
    })
  for (const [name, title, tls] of [
    ['pop3', 'POP3 with STLS', false],
    ['pop3s', 'POP3 in TLS', true],
  ] as const)
    await part(parts, title, login === undefined ? unknownPassword : port(name), async (at) => {
      const count = await countByPop3({ ...at, tls }, login ?? { address: '', password: '' })
      return `${count} messages seen`
    })
  await part(parts, 'no open relay', port('smtp'), () => refusesStrangers(home, account.address))
  return parts
}

interface Place {
  readonly host: string
  readonly port: number
  readonly tls: boolean
}

interface Login {
  readonly address: string
  readonly password: string
}

async function part(
  parts: TestedPart[],
  name: string,
  at: Omit<Place, 'tls'> | string,
  test: (at: Omit<Place, 'tls'>) => Promise<string>,
): Promise<void> {
  if (typeof at === 'string') return void parts.push({ name, state: 'skipped', text: at })
  try {
    parts.push({ name, state: 'passed', text: await test(at) })
  } catch (error) {
    parts.push({ name, state: 'failed', text: describeError(error) })
  }
}

async function listeningAt(home: Home): Promise<object> {
  const [summary] = await askAll(socketPath(home, 'start'), { op: 'status' }, realClock)
  const listening = field(fieldsOf(summary), 'listening')
  return typeof listening === 'object' && listening !== null ? listening : {}
}

/** Where this machine reaches it; or why it is not tested. */
function placeOf(listening: object, name: string): Omit<Place, 'tls'> | string {
  const all = field(listening, name)
  const addresses = (Array.isArray(all) ? all : []).flatMap((one) => parseAddress(String(one)) ?? [])
  const families = new Set(
    Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ family }) => family)),
  )
  // One that listens everywhere listens twice, and a machine may have one family alone.
  const first = addresses.find(({ host }) => families.has(host.includes(':') ? 'IPv6' : 'IPv4'))
  if (first === undefined) return 'does not listen'
  if (first.host === '0.0.0.0') return { host: '127.0.0.1', port: first.port }
  return first.host === '::' ? { host: '::1', port: first.port } : first
}

async function sendBySmtp(place: Place, letter: Letter, login: Login | undefined): Promise<void> {
  const session = await LineSession.open(place, realClock, replyMillisecondsMax)
  try {
    await session.want('', '220')
    await session.want('EHLO localhost', '250')
    if (login !== undefined && !place.tls) {
      await session.want('STARTTLS', '220')
      await session.secure()
      await session.want('EHLO localhost', '250')
    }
    if (login !== undefined) {
      const proof = Buffer.from(`\0${login.address}\0${login.password}`).toString('base64')
      await session.want(`AUTH PLAIN ${proof}`, '235')
    }
    await session.want(`MAIL FROM:<${letter.address}>`, '250')
    await session.want(`RCPT TO:<${letter.address}>`, '250')
    await session.want('DATA', '354')
    await session.want(`${letter.text}\r\n.`, '250')
    await session.say('QUIT')
  } finally {
    session.close()
  }
}

async function countByPop3(place: Place, login: Login): Promise<number> {
  const session = await LineSession.open(place, realClock, replyMillisecondsMax)
  const line = /^(?:\+OK|-ERR).*\r\n/m
  try {
    await session.want('', '+OK', line)
    if (!place.tls) {
      await session.want('STLS', '+OK', line)
      await session.secure()
    }
    await session.want(`USER ${login.address}`, '+OK', line)
    await session.want(`PASS ${login.password}`, '+OK', line)
    const answer = await session.want('STAT', '+OK', line)
    await session.say('QUIT', line)
    return Number(/^\+OK (\d+)/.exec(answer)?.[1] ?? Number.NaN)
  } finally {
    session.close()
  }
}

/** A stranger's ways to send through us: directly, by a source route (RFC 5321 appendix C), and by a per cent sign, where
 *  control/percenthack says that it is one. */
async function refusesStrangers(home: Home, own: string): Promise<string> {
  const host = own.slice(own.indexOf('@') + 1)
  const hacked = new Control(home.control, realClock).list('percenthack') ?? []
  const tries = [
    'probe@example.net',
    `@${host}:probe@example.net`,
    ...hacked.map((domain) => `probe%example.net@${toText(domain)}`),
  ]
  for (const to of tries) {
    const request = { op: 'explain', ip: stranger, helo: 'probe.example.net', from: 'probe@example.net', to: [to] }
    const steps = (await askAll(socketPath(home, 'smtpd-admin'), request, realClock)).map(fieldsOf)
    const answer = steps.find((step) => textField(step, 'command').startsWith('RCPT'))
    const reply = answer === undefined ? '' : textField(answer, 'reply')
    if (reply.startsWith('2')) throw new Error(`a stranger may send to ${to}: '${reply}'`)
  }
  return `${tries.length} ways of a stranger to send through us are refused`
}

class Letter {
  readonly address: string
  readonly text: string
  private readonly mark = randomUUID()
  private readonly account: Account

  constructor(account: Account) {
    this.account = account
    this.address = account.address
    this.text = `From: <${this.address}>\r\nTo: <${this.address}>\r\nSubject: set-up test\r\n${markField}: ${this.mark}\r\n\r\nThis message is removed when it has arrived.\r\n`
  }

  /** Takes it out of the mailbox; says how long it took. */
  async arrived(): Promise<string> {
    const begun = realClock.monotonic()
    const directory = join(this.account.maildir, 'new')
    while (realClock.monotonic() - begun < arrivalMillisecondsMax) {
      if (await asOwner(this.account, () => this.takeFrom(directory)))
        return `arrived ${Math.round(realClock.monotonic() - begun)} ms after it was taken`
      await sleep(pollMilliseconds)
    }
    throw new Error(`was taken, and did not arrive in ${arrivalMillisecondsMax / 1000} s: quaver queue list`)
  }

  private async takeFrom(directory: string): Promise<boolean> {
    return (await removeFrom(directory, this.mark)) > 0
  }
}

/** Of tests that were killed before they took them out. */
export async function removeTestLetters(account: Account): Promise<void> {
  const directory = join(account.maildir, 'new')
  await asOwner(account, () => removeFrom(directory, `\n${markField}: `))
}

async function removeFrom(directory: string, mark: string): Promise<number> {
  let removed = 0
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    const { size } = await stat(path)
    if (size > messageBytesMax || !(await readFile(path)).includes(mark)) continue
    await rm(path)
    removed++
  }
  return removed
}
