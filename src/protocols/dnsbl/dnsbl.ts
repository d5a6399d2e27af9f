/** DNS lists of addresses (RFC 5782): the lines of control/dnsbls, the name to ask, what an answer says.
 *  An answer counts only in 127.0.0.0/8. Some of those say «I refuse to answer you» instead of «listed»: Spamhaus uses
 *  127.255.255.0/24 (asked by way of a public resolver, or too often). A server that takes that for a listing blocks all
 *  clients. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { reversed } from '../dns/reverse-name.ts'

/** Where control/dnsbls is absent. */
export const defaultDnsLists: readonly ByteString[] = ['zen.spamhaus.org']
const scoreMax = 1_000_000
const nameBytesMax = 253
/** As rblsmtpd. */
const textBytesMax = 200
/** RFC 5322 §2.1.1 allows 998. */
const fieldBytesMax = 900

/** `block` 451, `refuse` 553, `allow` ends the asking, `mark` and `score` only count. */
export type ListUse = 'block' | 'refuse' | 'allow' | 'mark' | 'score'

export interface DnsList {
  readonly zone: string
  readonly use: ListUse
  /** For `score`; else 0. */
  readonly score: number
}

const useOfSign: ReadonlyMap<string, ListUse> = new Map([
  ['-', 'refuse'],
  ['+', 'allow'],
  ['?', 'mark'],
])

/** What `parseDnsList` reads, in words. */
export const dnsListForm = 'zone, -zone, +zone, ?zone or zone=N'

/** Undefined if the line has another form. */
export function parseDnsList(line: ByteString): DnsList | undefined {
  const use = useOfSign.get(line[0] ?? '') ?? 'block'
  const rest = use === 'block' ? line : line.slice(1)
  const equals = rest.indexOf('=')
  const zone = asZone(equals < 0 ? rest : rest.slice(0, equals))
  if (zone === undefined) return undefined
  if (equals < 0) return { zone, use, score: 0 }
  const digits = rest.slice(equals + 1)
  if (use !== 'block' || !/^[0-9]{1,7}$/.test(digits) || Number(digits) > scoreMax) return undefined
  return { zone, use: 'score', score: Number(digits) }
}

function asZone(text: ByteString): string | undefined {
  const zone = lowerAscii(text.endsWith('.') ? text.slice(0, -1) : text)
  if (!/^[a-z0-9._-]{1,253}$/.test(zone)) return undefined
  return zone.split('.').every((label) => label.length >= 1 && label.length <= 63) ? zone : undefined
}

/** The name to ask: the address reversed, then the zone. Undefined if the name would be too long. `address` is 4 or 16 bytes. */
export function listName(address: readonly number[], zone: string): string | undefined {
  const name = `${reversed(address)}.${zone}`
  return name.length <= nameBytesMax ? name : undefined
}

export type ListAnswer =
  | { readonly kind: 'listed'; readonly address: string }
  /** The list does not serve us: no statement about the address. */
  | { readonly kind: 'refused'; readonly address: string }
  | { readonly kind: 'clear' }

/** What the A records say. */
export function readListAnswer(addresses: readonly string[], use: ListUse): ListAnswer {
  const listed = addresses.find((address) => counts(address) && !isRefusal(address, use))
  if (listed !== undefined) return { kind: 'listed', address: listed }
  const refused = addresses.find((address) => isRefusal(address, use))
  return refused === undefined ? { kind: 'clear' } : { kind: 'refused', address: refused }
}

function counts(address: string): boolean {
  return /^127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$/.test(address)
}

/** 127.0.0.255 is how dnswl.org, an allow-list, says the same. */
function isRefusal(address: string, use: ListUse): boolean {
  return address.startsWith('127.255.255.') || (use === 'allow' && address === '127.0.0.255')
}

const refusalReasons: ReadonlyMap<string, string> = new Map([
  ['127.255.255.252', 'there is a typing error in the name of the zone'],
  ['127.255.255.254', 'the question came by way of a public resolver: run a resolver of your own (control/dnsservers)'],
  ['127.255.255.255', 'too many questions came from us'],
  ['127.0.0.255', 'too many questions came from us'],
])

export function refusalReason(address: string): string {
  return refusalReasons.get(address) ?? 'it does not say why'
}

/** As rblsmtpd shows a list's text: 200 bytes, what does not print as `?`. */
export function listText(text: ByteString): ByteString {
  return text.slice(0, textBytesMax).replace(/[^ -~]/g, '?')
}

/** The line that rblsmtpd logs for a client it blocks. */
export function blockedLine(ip: string, pid: number, code: 451 | 553, text: ByteString): ByteString {
  return `rblsmtpd: ${ip} pid ${pid}: ${code} ${text}`
}

/** What the environment variable RBLSMTPD says: unset asks the lists, empty lets through, a text blocks. */
export function readRblsmtpd(
  value: ByteString | undefined,
):
  | { readonly kind: 'ask' }
  | { readonly kind: 'pass' }
  | { readonly kind: 'blocked'; readonly code: 451 | 553; readonly text: ByteString } {
  if (value === undefined) return { kind: 'ask' }
  if (value === '') return { kind: 'pass' }
  if (value.startsWith('-')) return { kind: 'blocked', code: 553, text: listText(value.slice(1)) }
  return { kind: 'blocked', code: 451, text: listText(value) }
}

/** What lists said of a client that they did not block, as a header line without its end: for filters and mail programs.
 *  `name`: the field's; undefined if it is no field name (RFC 5322 §2.2). */
export function listsField(
  name: ByteString,
  ip: string,
  { marks, score }: { readonly marks: readonly ByteString[]; readonly score: number },
): ByteString | undefined {
  if (!/^[!-9;-~]{1,64}$/.test(name)) return undefined
  const shown = marks.map((zone) => zone.replace(/[^!-~]/g, '?')).join(' ')
  return `${name}: client-ip=${ip}; score=${score}; marks=${shown}`.slice(0, fieldBytesMax).trimEnd()
}
