/** Which user owns a mailbox name: by users/cdb, else by splitting the name as qmail-getpw does.
 *  Knows:  keys, wildcards, break characters. Never: accounts or files; the caller asks for those. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { CdbError, type CdbReader } from './cdb.ts'
import { exactKey, wildcardEndsKey, wildcardKey } from './users-assign.ts'

/** The six fields that qmail-lspawn hands to qmail-local. */
export interface UserRecord {
  readonly user: ByteString
  readonly uid: number
  readonly gid: number
  readonly home: ByteString
  readonly dash: ByteString
  readonly ext: ByteString
}

/** Undefined: nothing matches, so qmail-getpw's rules decide. Throws CdbError on a database that is not users/cdb. */
export function lookupAssigned(database: CdbReader, local: ByteString): UserRecord | undefined {
  const exact = database.get(exactKey(local))
  if (exact !== undefined) return parseRecord(exact, '')
  const ends = database.get(wildcardEndsKey)
  if (ends === undefined) throw new CdbError('users/cdb has no list of wildcards')
  const folded = lowerAscii(local)
  for (let length = folded.length; length >= 0; length--) {
    if (length > 0 && !ends.includes(folded.charAt(length - 1))) continue
    const found = database.get(wildcardKey(folded.slice(0, length)))
    if (found !== undefined) return parseRecord(found, local.slice(length))
  }
  return undefined
}

function parseRecord(data: ByteString, rest: ByteString): UserRecord {
  const [user, uid, gid, home, dash, ext, extra] = data.split('\0')
  if (user === undefined || home === undefined || dash === undefined || ext === undefined || extra !== undefined)
    throw new CdbError('users/cdb has a record without six fields')
  return { user, uid: parseId(uid), gid: parseId(gid), home, dash, ext: ext + rest }
}

function parseId(text: string | undefined): number {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text) || Number(text) >= 0xffff_ffff)
    throw new CdbError('users/cdb has a record with a malformed uid or gid')
  return Number(text)
}

/** `user-ext` as in qmail, and `user+tag` as well. */
export const breakCharacters: ByteString = '-+'
/** qmail-getpw asks for no longer names. */
const userBytesMax = 31

export interface Split {
  /** Folded to lower case. */
  readonly user: ByteString
  /** Empty, or the break character. */
  readonly dash: ByteString
  readonly ext: ByteString
}

/** The users to ask for, in order: the whole name, then what is before each break character, from the right. */
export function* splitsOf(local: ByteString): Generator<Split> {
  const folded = lowerAscii(local)
  if (local !== '' && local.length <= userBytesMax) yield { user: folded, dash: '', ext: '' }
  // A user's name is short: breaks further right cannot begin after one.
  for (let at = Math.min(local.length - 1, userBytesMax); at > 0; at--) {
    const dash = local.charAt(at)
    if (breakCharacters.includes(dash)) yield { user: folded.slice(0, at), dash, ext: local.slice(at + 1) }
  }
}

/** The account `alias` takes names that belong to no user. */
export function aliasSplit(local: ByteString): { readonly dash: ByteString; readonly ext: ByteString } {
  return { dash: '-', ext: local }
}
