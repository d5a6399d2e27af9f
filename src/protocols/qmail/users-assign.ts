/** users/assign as text, and the records that qmail-newu makes of it for users/cdb (qmail-users(5)).
 *  Knows:  the line forms, the keys. Never: files; see stores/users. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { encodingFault, writtenLines } from './written-text.ts'

export interface AssignRecord {
  readonly key: ByteString
  readonly data: ByteString
}

export type AssignResult =
  | { readonly ok: true; readonly records: readonly AssignRecord[] }
  /** The line number counts from 1. */
  | { readonly ok: false; readonly line: number; readonly reason: string }

/** Keys begin with `!`; an exact key ends in NUL, so that no address can look like it. */
export function exactKey(local: ByteString): ByteString {
  return `!${lowerAscii(local)}\0`
}

export function wildcardKey(prefix: ByteString): ByteString {
  return `!${lowerAscii(prefix)}`
}

/** The record under the empty key lists the last bytes of all wildcards: lookups try no other prefixes. */
export const wildcardEndsKey: ByteString = ''

/** user, uid, gid, home, dash, ext. */
const fieldCount = 6

export function parseAssign(text: ByteString): AssignResult {
  const records: AssignRecord[] = []
  const wildcardEnds = new Set<string>()
  const fault = encodingFault(text)
  if (fault !== undefined) return { ok: false, line: 1, reason: fault }
  const lines = writtenLines(text)
  for (const [index, line] of lines.entries()) {
    const bad = (reason: string): AssignResult => ({ ok: false, line: index + 1, reason })
    if (line.startsWith('.')) {
      records.push({ key: wildcardEndsKey, data: [...wildcardEnds].join('') })
      return { ok: true, records }
    }
    if (line.includes('\0')) return bad('has a NUL byte')
    const [head, ...fields] = line.split(':')
    if (head === undefined || head === '') return bad('is empty before its first colon')
    // What follows the sixth of these colons is not looked at.
    if (fields.length <= fieldCount) return bad(`has fewer than ${fieldCount} colons after its key`)
    const key = head.slice(1)
    const data = fields.slice(0, fieldCount).join('\0')
    if (head.startsWith('+')) {
      if (key !== '') wildcardEnds.add(lowerAscii(key.slice(-1)))
      records.push({ key: wildcardKey(key), data })
    } else records.push({ key: exactKey(key), data })
  }
  return {
    ok: false,
    line: lines.length + 1,
    reason: 'is the last, and no line with a dot came before: the file is cut off',
  }
}
