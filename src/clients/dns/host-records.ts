/** What the DNS says of a host that is to be a mail server: its addresses, their names, the exchangers of its domain, and
 *  whether a blocklist has it.
 *  Fails:  what cannot be found out now is `unknown`. */
import { reversed, reverseName } from '../../protocols/dns/reverse-name.ts'
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import type { Answer, Dns, RecordDns } from './dns.ts'

export type Verdict = 'right' | 'wrong' | 'absent' | 'unknown'

export interface ComparedRecord {
  readonly verdict: Verdict
  /** What was found; empty if nothing. */
  readonly found: readonly string[]
}

const blocklist = 'zen.spamhaus.org'
/** 127.255.255.0/24 says that the question was not answered (RFC 5782 knows no such; the list's own documentation does). */
const listed = /^127\.0\.0\.\d{1,3}$/

/** Forward: the host's addresses; right if one of `addresses` is there, or if we know of no address that others reach. */
export async function compareForward(dns: Dns, host: string, addresses: readonly string[]): Promise<ComparedRecord> {
  const answer = await dns.addresses(host)
  return compared(answer, (values) => addresses.length === 0 || values.some((one) => addresses.includes(one)))
}

/** Exactly one name for an address, and it is the host's. */
export async function compareReverse(dns: RecordDns, address: string, host: string): Promise<ComparedRecord> {
  const bytes = parseIp(address)?.toByteArray()
  if (bytes === undefined) return { verdict: 'unknown', found: [] }
  const answer = await dns.ptr(reverseName(bytes))
  return compared(answer, (values) => values.length === 1 && nameOf(values[0] ?? '') === host)
}

export async function compareMx(dns: Dns, domain: string, host: string): Promise<ComparedRecord> {
  const answer = await dns.mx(domain)
  const names: Answer<string> =
    answer.kind === 'found' ? { kind: 'found', values: answer.values.map(({ name }) => nameOf(name)) } : answer
  return compared(names, (values) => values.includes(host))
}

/** Right: not listed. */
export async function compareListing(dns: RecordDns, address: string): Promise<ComparedRecord> {
  const bytes = parseIp(address)?.toByteArray()
  if (bytes === undefined) return { verdict: 'unknown', found: [] }
  const answer = await dns.a(`${reversed(bytes)}.${blocklist}`)
  if (answer.kind === 'hard' || answer.kind === 'none') return { verdict: 'right', found: [] }
  if (answer.kind === 'soft') return { verdict: 'unknown', found: [] }
  const found = answer.values.filter((value) => listed.test(value))
  return { verdict: found.length > 0 ? 'wrong' : 'unknown', found: [`${blocklist}: ${answer.values.join(' ')}`] }
}

function compared(answer: Answer<string>, isRight: (values: readonly string[]) => boolean): ComparedRecord {
  if (answer.kind === 'soft') return { verdict: 'unknown', found: [answer.why] }
  if (answer.kind !== 'found') return { verdict: 'absent', found: [] }
  return { verdict: isRight(answer.values) ? 'right' : 'wrong', found: answer.values }
}

function nameOf(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}
