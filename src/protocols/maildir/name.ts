/** What the name of a message in a Maildir says (maildir(5), Maildir++): when it came, its bytes, its unique part. */
import type { ByteString } from '../../base/byte-string.ts'

/** The part before the flags: it stays while the message moves from new/ to cur/ and its flags change. */
export function uniquePart(name: ByteString): ByteString {
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(0, colon)
}

/** `seconds` since 1970 UTC, and what else the name says of the time within that second (`M`, microseconds). */
export interface Arrival {
  readonly seconds: number
  readonly microseconds: number
}

/** Undefined if the name does not begin with a time of this century or the last quarter of the one before. */
export function arrivalInName(name: ByteString): Arrival | undefined {
  const found = /^([0-9]{9,10})\.(?:M([0-9]{1,6})(?![0-9]))?/.exec(name)
  return found === null ? undefined : { seconds: Number(found[1]), microseconds: Number(found[2] ?? 0) }
}

/** Where a writer of Maildir++ put it (`,S=bytes`). */
export function bytesInName(name: ByteString): number | undefined {
  const found = /,S=([0-9]{1,15})(?=[,:]|$)/.exec(name)
  return found === null ? undefined : Number(found[1])
}

/** A name in cur/: with the flags it has, or with none. */
export function nameInCur(name: ByteString): ByteString {
  return name.includes(':') ? name : `${name}:2,`
}

/** The unique part for a message that shares its own with another message: made from what tells the two files apart. */
export function twinPart(name: ByteString, identity: string): ByteString {
  return `${uniquePart(name)},I${identity}`
}

const twinPattern = /,I[0-9a-f]+T[0-9]+$/

/** RFC 1939 §7: a unique-id has so many bytes at most … */
const uniqueIdBytesMax = 70
/** Ours (stores/maildir/maildir.ts) up to the host: unique by itself. */
const ourName = /^[0-9]+\.M[0-9]+P[0-9]+Q[0-9]+R[0-9a-f]{16}(?=\.)/

/** What UIDL says of a message: the unique part of its name, as qmail-pop3d does. A long name of ours is said without
 *  host and size; a long one of another writer stays whole, since clients know it. What a line cannot carry, and a long
 *  one with a mark at its end (`twinPart`), is said by a digest, which is to be 64 hexadecimal digits. */
export function uniqueId(name: ByteString, digest: (bytes: ByteString) => string): ByteString {
  const unique = uniquePart(name)
  // … of 0x21 to 0x7E.
  if (!/^[!-~]+$/.test(unique)) return digest(unique)
  if (unique.length <= uniqueIdBytesMax) return unique
  if (twinPattern.test(unique)) return digest(unique)
  return ourName.exec(unique)?.[0] ?? unique
}
