/** XCLIENT as Postfix defines it: a trusted peer says who the client behind it is.
 *  Knows:  NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT, values in xtext (RFC 3461 §4), [UNAVAILABLE] and [TEMPUNAVAIL].
 *  Never:  whether the peer is trusted.
 *  Fails:  anything that does not fit is one fault, with a reason for the log: 501, and nothing is applied. */
import ipaddr from 'ipaddr.js'
import type { ByteString } from '../../base/byte-string.ts'

export const xclientAttributes = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'LOGIN', 'DESTADDR', 'DESTPORT'] as const
export type XclientAttribute = (typeof xclientAttributes)[number]

/** Undefined: the peer says that it is unknown. Addresses are in their usual form. */
export type XclientValues = ReadonlyMap<XclientAttribute, ByteString | undefined>

export type XclientParsed =
  | { readonly ok: true; readonly values: XclientValues }
  | { readonly ok: false; readonly reason: string }

/** RFC 5321 §4.5.3.1.2; Postfix takes no more for any of them. */
const valueBytesMax = 255

/** For the reply to EHLO. */
export const xclientCapability: string = `XCLIENT ${xclientAttributes.join(' ')}`

/** `argument`: what follows the verb. */
export function parseXclient(argument: ByteString): XclientParsed {
  const values = new Map<XclientAttribute, ByteString | undefined>()
  const words = argument.split(' ').filter((word) => word !== '')
  if (words.length === 0) return bad('no attributes')
  for (const word of words) {
    const equals = word.indexOf('=')
    const wanted = word.slice(0, Math.max(equals, 0)).toUpperCase()
    const name = xclientAttributes.find((known) => known === wanted)
    if (name === undefined) return bad('an unknown attribute')
    const value = decodeXtext(word.slice(equals + 1))
    if (value === undefined) return bad(`${name}: not xtext`)
    const read = readValue(name, value)
    if (!read.ok) return bad(`${name}: ${read.reason}`)
    values.set(name, read.value)
  }
  return { ok: true, values }
}

function bad(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason }
}

type Read = { readonly ok: true; readonly value: ByteString | undefined } | { readonly ok: false; reason: string }

function readValue(name: XclientAttribute, value: ByteString): Read {
  const upper = value.toUpperCase()
  if (upper === '[UNAVAILABLE]' || upper === '[TEMPUNAVAIL]') return { ok: true, value: undefined }
  if (value === '' || value.length > valueBytesMax || !/^[\x21-\x7e]+$/.test(value)) return bad('unsafe value')
  if (name === 'ADDR' || name === 'DESTADDR') return readAddress(value)
  if (name === 'PORT' || name === 'DESTPORT') return readPort(value)
  if (name === 'PROTO')
    return upper === 'SMTP' || upper === 'ESMTP' ? { ok: true, value: upper } : bad('unknown protocol')
  return { ok: true, value }
}

function readAddress(value: ByteString): Read {
  const tagged = /^IPV6:/i.test(value)
  const text = tagged ? value.slice(5) : value
  const valid = ipaddr.IPv6.isValid(text) ? !text.includes('%') : !tagged && ipaddr.IPv4.isValidFourPartDecimal(text)
  if (!valid) return bad('no address')
  const address = ipaddr.process(text)
  const shown = address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString()
  return { ok: true, value: shown }
}

function readPort(value: ByteString): Read {
  return /^[0-9]{1,5}$/.test(value) && Number(value) <= 65_535 ? { ok: true, value } : bad('no port')
}

/** `+` and two upper-case hexadecimal digits for a byte (RFC 3461 §4). Undefined: not xtext. */
export function decodeXtext(text: ByteString): ByteString | undefined {
  let decoded = ''
  for (let at = 0; at < text.length; at++) {
    const byte = text.charAt(at)
    if (byte !== '+') {
      decoded += byte
      continue
    }
    const digits = text.slice(at + 1, at + 3)
    if (!/^[0-9A-F]{2}$/.test(digits)) return undefined
    decoded += String.fromCharCode(Number.parseInt(digits, 16))
    at += 2
  }
  return decoded
}

/** Both ends of a connection. */
export interface Ends {
  readonly remoteIp: string
  readonly remotePort: number
  readonly localIp: string
  readonly localPort: number
}

/** The announced client's connection: what is not announced is the announcing peer's. An unknown address is `unknown`, an
 *  unknown port 0. */
export function announcedEnds(announcing: Ends, values: XclientValues): Ends {
  const address = (name: XclientAttribute, otherwise: string): string =>
    values.has(name) ? (values.get(name) ?? 'unknown') : otherwise
  const port = (name: XclientAttribute, otherwise: number): number =>
    values.has(name) ? Number(values.get(name) ?? 0) : otherwise
  return {
    remoteIp: address('ADDR', announcing.remoteIp),
    remotePort: port('PORT', announcing.remotePort),
    localIp: address('DESTADDR', announcing.localIp),
    localPort: port('DESTPORT', announcing.localPort),
  }
}
