/** SRS, the sender rewriting scheme, in libsrs2's form: the sender of a forward becomes an address of ours that says whose it
 *  was, until when it is good, and by a keyed digest that we made it.
 *    `SRS0=HHHH=TT=host=user@ours`             first rewriting; TT: the day, HHHH: the digest
 *    `SRS1=HHHH=host==HHHH=TT=host=user@ours`  of a sender that another host has rewritten: bounces go to that host at once
 *  Knows:  the form. Never: which senders need it, or what is done with an address that is not good. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'

export interface SrsKeys {
  /** The first makes digests; one of any is taken. At least one. */
  readonly secrets: readonly ByteString[]
  /** HMAC-SHA1: 20 bytes, in base64. */
  readonly digest: (secret: ByteString, data: ByteString) => ByteString
}

export interface SrsForm {
  /** In lower case. */
  readonly domain: ByteString
  /** `=`, `-` or `+`, after the first word. */
  readonly separator: ByteString
  /** Characters of a digest. */
  readonly hashLength: number
  /** A shorter one is not taken. */
  readonly hashMin: number
  readonly maxAgeDays: number
}

export type Unwrapped =
  | { readonly kind: 'home'; readonly address: ByteString }
  /** It is not ours, or was changed. */
  | { readonly kind: 'forged' }
  | { readonly kind: 'expired' }

/** The address has the form of ours; its digest may be wrong. */
export function isSrsAddress(address: ByteString, domain: ByteString): boolean {
  const at = address.lastIndexOf('@')
  return at >= 0 && lowerAscii(address.slice(at + 1)) === domain && wordOf(address) !== undefined
}

/** The rewritten sender. Undefined: it has no domain to come back to. `nowMs`: since 1970. */
export function wrap(
  sender: ByteString,
  { separator, hashLength, domain }: SrsForm,
  keys: SrsKeys,
  nowMs: number,
): ByteString | undefined {
  const at = sender.lastIndexOf('@')
  const [user, host] = [sender.slice(0, Math.max(at, 0)), sender.slice(at + 1)]
  // An = in a host would shift what stands after it.
  if (user === '' || host === '' || /[=[\]]/.test(host)) return undefined
  const [secret = ''] = keys.secrets
  const hash = (...parts: readonly ByteString[]): ByteString => digestOf(secret, parts, keys).slice(0, hashLength)
  const word = wordOf(sender)
  const [, ofFirst, rest] = (word === 1 ? splitFirst(user.slice(5)) : undefined) ?? []
  if (ofFirst !== undefined && rest !== undefined)
    return `SRS1${separator}${hash(ofFirst, rest)}=${ofFirst}=${rest}@${domain}`
  if (word === 0) return `SRS1${separator}${hash(host, user.slice(4))}=${host}=${user.slice(4)}@${domain}`
  const stamp = stampOf(dayOf(nowMs))
  return `SRS0${separator}${hash(stamp, host, user)}=${stamp}=${host}=${user}@${domain}`
}

/** The address that an SRS address stands for. */
export function unwrap(address: ByteString, form: SrsForm, keys: SrsKeys, nowMs: number): Unwrapped {
  const local = address.slice(0, address.lastIndexOf('@'))
  const split = splitFirst(local.slice(5))
  if (split === undefined) return { kind: 'forged' }
  const [hash, second, rest] = split
  if (wordOf(address) === 1) {
    if (!isGood(hash, [second, rest], form, keys)) return { kind: 'forged' }
    return { kind: 'home', address: `SRS0${rest}@${second}` }
  }
  const equals = rest.indexOf('=')
  if (equals < 1 || equals === rest.length - 1) return { kind: 'forged' }
  const [host, user] = [rest.slice(0, equals), rest.slice(equals + 1)]
  if (!isGood(hash, [second, host, user], form, keys)) return { kind: 'forged' }
  const day = dayOfStamp(second)
  if (day === undefined) return { kind: 'forged' }
  const age = (dayOf(nowMs) - day + daysOfCircle) % daysOfCircle
  return age <= form.maxAgeDays ? { kind: 'home', address: `${user}@${host}` } : { kind: 'expired' }
}

/** 0 or 1, for SRS0 and SRS1. */
function wordOf(address: ByteString): 0 | 1 | undefined {
  const word = /^srs([01])[=+-]/i.exec(address)?.[1]
  return word === undefined ? undefined : word === '0' ? 0 : 1
}

/** `one=two=rest` */
function splitFirst(text: ByteString): readonly [ByteString, ByteString, ByteString] | undefined {
  const first = text.indexOf('=')
  const second = text.indexOf('=', first + 1)
  if (first < 1 || second <= first + 1 || second === text.length - 1) return undefined
  return [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)]
}

/** Hosts on the way may have changed the case. */
function isGood(hash: ByteString, parts: readonly ByteString[], { hashMin }: SrsForm, keys: SrsKeys): boolean {
  if (hash.length < hashMin) return false
  const given = lowerAscii(hash)
  return keys.secrets.some((secret) => {
    const whole = digestOf(secret, parts, keys).replace(/=+$/, '')
    return hash.length <= whole.length && lowerAscii(whole.slice(0, hash.length)) === given
  })
}

function digestOf(secret: ByteString, parts: readonly ByteString[], { digest }: SrsKeys): ByteString {
  return digest(secret, parts.map(lowerAscii).join(''))
}

const stampLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
/** Two letters of five bits. */
const daysOfCircle = 1024
const dayMilliseconds = 86_400_000

function dayOf(ms: number): number {
  return Math.floor(ms / dayMilliseconds) % daysOfCircle
}

function stampOf(day: number): ByteString {
  return stampLetters.charAt(day >> 5) + stampLetters.charAt(day & 31)
}

function dayOfStamp(stamp: ByteString): number | undefined {
  if (stamp.length !== 2) return undefined
  const letters = stamp.toUpperCase()
  const [high, low] = [stampLetters.indexOf(letters.charAt(0)), stampLetters.indexOf(letters.charAt(1))]
  return high < 0 || low < 0 ? undefined : high * 32 + low
}
