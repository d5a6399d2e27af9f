/** `control/noextensions`: `host:KEYWORD …`, where the host is a name, a suffix that begins with a dot, an address, or empty
 *  for every host. Keywords have no colon, so that an IPv6 address ends at the last one, with or without brackets. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { domainKeys } from '../qmail/control-format.ts'
import { canonicalIpv6, parseIp } from '../qmail/ip-key.ts'

/** Keywords in capitals, by host. */
export type NoExtensions = ReadonlyMap<ByteString, ReadonlySet<string>>

export const noExtensionsForm =
  'host:KEYWORD …, such as mx.example.com:PIPELINING, .example.com:EHLO, [2001:db8::1]:SIZE or :8BITMIME'

const none: ReadonlySet<string> = new Set()

/** Lines about one host add up. */
export function parseNoExtensions(lines: readonly ByteString[]): NoExtensions {
  const table = new Map<ByteString, Set<string>>()
  for (const line of lines) {
    const { host, words } = parse(line)
    table.set(host, new Set([...(table.get(host) ?? []), ...words]))
  }
  return table
}

/** What is said of a host: by its address, else by the first line there is for its name, its suffixes, every host. */
export function unwantedExtensions(table: NoExtensions, name: ByteString, address: string): ReadonlySet<string> {
  if (table.size === 0) return none
  for (const key of [hostKey(address), ...domainKeys(name)]) {
    const found = table.get(key)
    if (found !== undefined) return found
  }
  return none
}

/** The line is valid. */
export function namesExtensions(line: ByteString): boolean {
  const { host, words } = parse(line)
  return (
    line.includes(':') &&
    (!/[\s[\]:]/.test(host) || parseIp(host) !== undefined) &&
    words.length > 0 &&
    words.every((word) => knownKeywords.has(word))
  )
}

/** What we would use, and EHLO itself. */
const knownKeywords: ReadonlySet<string> = new Set([
  'EHLO',
  'PIPELINING',
  'SIZE',
  'STARTTLS',
  '8BITMIME',
  'SMTPUTF8',
  'REQUIRETLS',
  'AUTH',
])

function parse(line: ByteString): { readonly host: ByteString; readonly words: readonly string[] } {
  const colon = line.lastIndexOf(':')
  const words = line
    .slice(colon + 1)
    .toUpperCase()
    .split(/[ \t,]+/)
    .filter((word) => word !== '')
  return { host: hostKey(line.slice(0, Math.max(0, colon)).trim()), words }
}

/** One spelling of each address. */
function hostKey(written: ByteString): ByteString {
  const bare = /^\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]$/i.exec(written)?.[1] ?? written
  const address = parseIp(bare)
  if (address === undefined) return lowerAscii(written)
  return canonicalIpv6(bare) ?? address.toString()
}
