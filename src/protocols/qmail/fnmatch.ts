/** fnmatch(3) without flags, over bytes: `*`, `?`, `[a-z]`, `[!a-z]`, `\` before a special. Nothing is tried again but
 *  from the last `*` on, so the time is at most text times pattern. */
import type { ByteString } from '../../base/byte-string.ts'

export function fnmatch(pattern: ByteString, text: ByteString): boolean {
  let at = 0
  let from = 0
  /** Behind the last `*`, and where the text that it has not swallowed began. */
  let starAt = -1
  let starFrom = 0
  while (from < text.length || at < pattern.length) {
    if (pattern[at] === '*') {
      at++
      starAt = at
      starFrom = from
      continue
    }
    const next = from < text.length && at < pattern.length ? matchOne(pattern, at, text[from] ?? '') : undefined
    if (next !== undefined) {
      at = next
      from++
    } else if (starAt >= 0 && starFrom < text.length) {
      starFrom++
      at = starAt
      from = starFrom
    } else return false
  }
  return true
}

/** Where the pattern goes on if its element at `at` matches the byte. */
function matchOne(pattern: ByteString, at: number, byte: string): number | undefined {
  switch (pattern.charAt(at)) {
    case '?':
      return at + 1
    case '[':
      return matchBracket(pattern, at, byte)
    case '\\':
      return pattern[at + 1] === byte ? at + 2 : undefined
    default:
      return pattern.charAt(at) === byte ? at + 1 : undefined
  }
}

/** A `[` without `]` stands for itself. */
function matchBracket(pattern: ByteString, start: number, byte: string): number | undefined {
  const negated = pattern[start + 1] === '!' || pattern[start + 1] === '^'
  const first = start + (negated ? 2 : 1)
  const end = pattern.indexOf(']', first + 1)
  if (end < 0) return byte === '[' ? start + 1 : undefined
  let found = false
  for (let at = first; at < end; at++) {
    const low = pattern[at] ?? ''
    if (pattern[at + 1] === '-' && at + 2 < end) {
      found ||= low <= byte && byte <= (pattern[at + 2] ?? '')
      at += 2
    } else found ||= low === byte
  }
  return found === negated ? undefined : end + 1
}
