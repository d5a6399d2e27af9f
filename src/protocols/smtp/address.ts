/** The address in MAIL and RCPT, read as leniently as qmail-smtpd does.
 *  Knows:  angle brackets or what follows the colon, source routes, quotes and backslashes, address literals; and what may be
 *          a domain, so that it means the same to checks, to routing and to the next host.
 *  Never:  whether the address is wanted. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { replies, type Reply } from './replies.ts'

/** qmail-smtpd counts the NUL at the end too, and says 555 above 900. */
export const smtpAddressBytesMax = 899

export interface ParsedAddress {
  /** Without any quoting: what is before the last `@` is the local part as it is. */
  readonly address: ByteString
  /** What follows the address: extension parameters. */
  readonly rest: ByteString
}

/** The address of a MAIL or RCPT, as `complete` leaves it, or the reply that refuses it. A domain loses the dot at its end: it
 *  is the same one, and no table of ours has it there. */
export function readAddress(
  argument: ByteString,
  complete: (address: ByteString) => ByteString,
): ParsedAddress | Reply {
  const { address: given, rest } = parseAddress(argument)
  const address = complete(given)
  if (address.length > smtpAddressBytesMax) return replies.syntax
  // The line holds no other control character any more.
  if (address.includes('\t')) return replies.controlInAddress
  const domain = domainOf(address)
  if (domain === undefined) return { address, rest }
  const plain = domain.endsWith('.') ? domain.slice(0, -1) : domain
  return isDomain(plain) ? { address: withDomain(address, plain), rest } : replies.noDomain
}

/** Labels, which may be of other bytes than RFC 1123 has, or a literal; or nothing, as qmail takes it. */
function isDomain(domain: ByteString): boolean {
  return /^(?:[\w\x80-\xff-]+(?:\.[\w\x80-\xff-]+)*|\[[\w.:-]*\])?$/.test(domain)
}

/** A sender that no host on the network has: `#@[]` of a double bounce, and `PREFIX@HOST-@[]`, which becomes another sender for
 *  each recipient. */
export function isSenderOfOurs(sender: ByteString): boolean {
  return domainOf(sender) === '[]'
}

export function parseAddress(argument: ByteString): ParsedAddress {
  const bracket = argument.indexOf('<')
  const terminator = bracket >= 0 ? '>' : ' '
  let at = bracket >= 0 ? bracket + 1 : afterColon(argument)
  if (argument[at] === '@') at = afterSourceRoute(argument, at)
  let address = ''
  let quoted = false
  for (; at < argument.length; at++) {
    const byte = argument.charAt(at)
    if (!quoted && byte === terminator) return { address, rest: argument.slice(at + 1) }
    if (byte === '"') quoted = !quoted
    else if (byte === '\\') address += argument.charAt(++at)
    else address += byte
  }
  return { address, rest: '' }
}

function afterColon(argument: ByteString): number {
  const colon = argument.indexOf(':')
  if (colon < 0) return argument.length
  let at = colon + 1
  while (argument[at] === ' ') at++
  return at
}

/** `@one,@two:user@host` is `user@host`; without a colon nothing is left (RFC 5321 §4.1.1.3: ignore the route). */
function afterSourceRoute(argument: ByteString, at: number): number {
  const colon = argument.indexOf(':', at)
  return colon < 0 ? argument.length : colon + 1
}

/** Of whatever domain, or of none (RFC 5321 §4.5.1). */
export function isPostmaster(address: ByteString): boolean {
  const folded = lowerAscii(address)
  return folded === 'postmaster' || folded.startsWith('postmaster@')
}

/** What is after the last `@`; undefined without `@`. */
export function domainOf(address: ByteString): ByteString | undefined {
  const at = address.lastIndexOf('@')
  return at < 0 ? undefined : address.slice(at + 1)
}

/** `user@[192.0.2.1]` → `192.0.2.1`. IPv6 literals are not understood, as in qmail: they are ordinary foreign names. */
export function addressLiteral(address: ByteString): string | undefined {
  const domain = domainOf(address)
  if (domain === undefined || !domain.startsWith('[')) return undefined
  const octets = /^\[(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\]$/.exec(domain)?.slice(1).map(Number)
  return octets === undefined || octets.some((octet) => octet > 255) ? undefined : octets.join('.')
}

function withDomain(address: ByteString, domain: ByteString): ByteString {
  return address.slice(0, address.lastIndexOf('@') + 1) + domain
}

/** Keys under which rcpthosts and morercpthosts are searched: the name, then each suffix that begins with a dot. */
export function* hostKeys(domain: ByteString): Generator<ByteString> {
  const name = lowerAscii(domain)
  yield name
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    if (dot > 0) yield name.slice(dot)
  }
}
