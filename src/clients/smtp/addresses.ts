/** IP addresses as targets: literals, and those to which the DNS must not send us. */
import ipaddr from 'ipaddr.js'
import type { ByteString } from '../../base/byte-string.ts'

/** `1.2.3.4`, `[1.2.3.4]`, `[IPv6:…]` (RFC 5321 §4.1.3), a bare IPv6 address; undefined: not a literal. */
export function parseLiteral(text: ByteString): string | undefined {
  let literal = text
  if (literal.startsWith('[') && literal.endsWith(']')) literal = literal.slice(1, -1)
  if (/^ipv6:/i.test(literal)) literal = literal.slice(5)
  if (literal.length > 45) return undefined
  // Not the octal and short forms that ipaddr.js reads as well: `127.1` is a name that no host can have.
  if (ipaddr.IPv4.isValidFourPartDecimal(literal)) return literal
  return literal.includes(':') && !literal.includes('%') && ipaddr.IPv6.isValid(literal)
    ? canonical(literal)
    : undefined
}

/** One spelling for each address; an IPv4 address inside IPv6 is that IPv4 address. */
export function canonical(address: string): string {
  const zone = address.indexOf('%')
  return ipaddr.process(zone < 0 ? address : address.slice(0, zone)).toString()
}

const forbiddenRanges: ReadonlySet<string> = new Set(['unspecified', 'loopback', 'linkLocal', 'multicast', 'broadcast'])

/** A name server must not be able to point us at our own services, or at a broadcast address. Private networks are allowed: many
 *  a site has its mail hosts there. */
export function isReachableAddress(address: string): boolean {
  return !forbiddenRanges.has(ipaddr.process(address).range())
}
