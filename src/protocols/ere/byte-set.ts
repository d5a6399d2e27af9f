/** Sets of bytes, and the bracket expressions that name them (XBD 9.3.5, POSIX locale). */
import type { ByteString } from '../../base/byte-string.ts'

/** 256 members, 1 if the byte is in the set. */
export type ByteSet = Uint8Array

export function newSet(): ByteSet {
  return new Uint8Array(256)
}

export function complement(set: ByteSet): ByteSet {
  return set.map((member) => 1 - member)
}

/** An ASCII letter goes in with its other case. */
export function addFolded(set: ByteSet, code: number): void {
  set[code] = 1
  if (code >= 65 && code <= 90) set[code + 32] = 1
  if (code >= 97 && code <= 122) set[code - 32] = 1
}

const classes: ReadonlyMap<string, (code: number) => boolean> = new Map([
  ['alpha', isAlpha],
  ['digit', isDigit],
  ['alnum', (code: number) => isAlpha(code) || isDigit(code)],
  // Case is folded, so both classes hold every letter.
  ['upper', isAlpha],
  ['lower', isAlpha],
  ['space', (code: number) => code === 32 || (code >= 9 && code <= 13)],
  ['blank', (code: number) => code === 32 || code === 9],
  ['punct', (code: number) => code > 32 && code < 127 && !isAlpha(code) && !isDigit(code)],
  ['print', (code: number) => code >= 32 && code < 127],
  ['graph', (code: number) => code > 32 && code < 127],
  ['cntrl', (code: number) => code < 32 || code === 127],
  ['xdigit', (code: number) => isDigit(code) || (code >= 65 && code <= 70) || (code >= 97 && code <= 102)],
])

export function classSet(name: string): ByteSet | undefined {
  const test = classes.get(name)
  return test === undefined ? undefined : newSet().map((_, code) => (test(code) ? 1 : 0))
}

/** The expression whose `[` is before `from`. `next`: after its `]`; -1 if there is none, -2 if it is invalid. */
export function bracketSet(
  pattern: ByteString,
  from: number,
): { readonly set: ByteSet | undefined; readonly next: number } {
  const set = newSet()
  const negated = pattern[from] === '^'
  const first = negated ? from + 1 : from
  let at = first
  for (;;) {
    const byte = pattern[at]
    if (byte === undefined) return { set: undefined, next: -1 }
    if (byte === ']' && at > first) return { set: negated ? complement(set) : set, next: at + 1 }
    const after = pattern.startsWith('[:', at) ? addClass(set, pattern, at) : addRange(set, pattern, at)
    if (after === undefined) return { set: undefined, next: -2 }
    at = after
  }
}

function addClass(set: ByteSet, pattern: ByteString, at: number): number | undefined {
  const end = pattern.indexOf(':]', at + 2)
  const members = end < 0 ? undefined : classSet(pattern.slice(at + 2, end))
  if (members === undefined) return undefined
  for (const [code, member] of members.entries()) if (member === 1) addFolded(set, code)
  return end + 2
}

/** One byte, or `a-z`. Collating elements are refused. */
function addRange(set: ByteSet, pattern: ByteString, at: number): number | undefined {
  if (pattern.startsWith('[.', at) || pattern.startsWith('[=', at)) return undefined
  const low = pattern.charCodeAt(at)
  const isRange = pattern[at + 1] === '-' && pattern[at + 2] !== undefined && pattern[at + 2] !== ']'
  const high = isRange ? pattern.charCodeAt(at + 2) : low
  if (high < low) return undefined
  for (let code = low; code <= high; code++) addFolded(set, code)
  return isRange ? at + 3 : at + 1
}

function isAlpha(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}
