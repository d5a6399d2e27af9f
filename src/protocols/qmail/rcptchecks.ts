/** Recipient checks: what a program's exit means (the RCPTCHECK interface), and the checks that pkgsrc ships which need
 *  nothing but control files: badrcptto and qregex.
 *  Knows:  texts, order, what relay clients are spared. Never: runs anything.
 *  Fails:  a pattern that cannot be compiled means "cannot verify". */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { compileEre, type Ere } from '../ere/ere.ts'
import { coded, type Reply } from '../smtp/replies.ts'

/** `refuse` is for good, `full` and `unknown` are for now, of this recipient; the last two can verify no recipient, and end
 *  the session with 421. */
export type CheckVerdict = 'accept' | 'refuse' | 'full' | 'unknown' | 'cannot-verify' | 'cannot-execute'

export const checkReplies: Readonly<Record<Exclude<CheckVerdict, 'accept'>, Reply>> = {
  refuse: coded(553, '5.1.1', 'sorry, no mailbox here by that name.'),
  full: coded(452, '4.2.2', 'sorry, that mailbox is full, try again later'),
  unknown: coded(451, '4.3.0', 'unable to verify recipient'),
  'cannot-verify': coded(421, '4.3.0', 'unable to verify recipient'),
  'cannot-execute': coded(421, '4.3.0', 'unable to execute recipient check'),
}

/** The checks that pkgsrc ships, by the last part of their path: they are run in process. */
export const builtInCheckNames: readonly ByteString[] = [
  'qmail-rcptcheck',
  'qmail-rcptcheck-badrcptto',
  'qmail-rcptcheck-qregex',
  'qmail-rcptcheck-realrcptto',
]

/** Of a program that ran; undefined: a signal ended it. */
export function verdictOfExit(code: number | undefined): CheckVerdict {
  switch (code) {
    case undefined:
    case 120:
      return 'cannot-execute'
    case 100:
      return 'refuse'
    case 111:
      return 'cannot-verify'
    default:
      return 'accept'
  }
}

/** control/badrcptto: addresses, or `@domain`, in any case. */
export function isBadRecipient(recipient: ByteString, entries: readonly ByteString[]): boolean {
  const address = lowerAscii(recipient)
  const domain = address.slice(Math.max(0, address.lastIndexOf('@')))
  return foldedSet(entries).has(address) || (domain.startsWith('@') && foldedSet(entries).has(domain))
}

/** The pattern files of qregex, by name; a file that is absent is an empty list. */
export interface PatternFiles {
  readonly badhelo: readonly ByteString[]
  readonly badmailfrom: readonly ByteString[]
  readonly badmailfromnorelay: readonly ByteString[]
  readonly badmailto: readonly ByteString[]
  readonly badmailtonorelay: readonly ByteString[]
}

export interface RegexFinding {
  readonly verdict: CheckVerdict
  /** The file that decided; empty if none did. */
  readonly file: keyof PatternFiles | ''
  readonly pattern: ByteString
  readonly about: ByteString
}

interface Names {
  readonly sender: ByteString
  readonly recipient: ByteString
  /** Undefined: not to be looked at. */
  readonly helo: ByteString | undefined
  readonly isRelayClient: boolean
}

/** In qregex's order: HELO, sender (unless empty), recipient. */
export function checkPatterns(files: PatternFiles, names: Names): RegexFinding {
  const { sender, recipient, helo, isRelayClient } = names
  const rounds: readonly (readonly [keyof PatternFiles, ByteString | undefined])[] = [
    ['badhelo', helo],
    ['badmailfrom', sender === '' ? undefined : sender],
    ['badmailfromnorelay', sender === '' || isRelayClient ? undefined : sender],
    ['badmailto', recipient],
    ['badmailtonorelay', isRelayClient ? undefined : recipient],
  ]
  for (const [file, about] of rounds) {
    if (about === undefined) continue
    const found = firstMatch(files[file], about)
    if (found !== undefined) return { ...found, file, about }
  }
  return { verdict: 'accept', file: '', pattern: '', about: '' }
}

function firstMatch(
  patterns: readonly ByteString[],
  text: ByteString,
): { verdict: CheckVerdict; pattern: ByteString } | undefined {
  for (const { pattern, negated, ere } of compiled(patterns)) {
    if (ere === undefined) return { verdict: 'cannot-verify', pattern }
    if (ere.matches(text) !== negated) return { verdict: 'refuse', pattern }
  }
  return undefined
}

interface Compiled {
  readonly pattern: ByteString
  /** A leading `!`: it matches what the rest does not. */
  readonly negated: boolean
  /** Undefined: it cannot be compiled. */
  readonly ere: Ere | undefined
}

/** By list: a file that has not changed is neither compiled nor folded again. */
const compiledLists = new WeakMap<readonly ByteString[], readonly Compiled[]>()
const foldedLists = new WeakMap<readonly ByteString[], ReadonlySet<ByteString>>()

function compiled(patterns: readonly ByteString[]): readonly Compiled[] {
  const known = compiledLists.get(patterns)
  if (known !== undefined) return known
  const made = patterns.map((pattern) => {
    const negated = pattern.startsWith('!')
    return { pattern, negated, ere: compileOrNot(negated ? pattern.slice(1) : pattern) }
  })
  compiledLists.set(patterns, made)
  return made
}

function compileOrNot(pattern: ByteString): Ere | undefined {
  try {
    return compileEre(pattern)
  } catch {
    return undefined
  }
}

function foldedSet(entries: readonly ByteString[]): ReadonlySet<ByteString> {
  const known = foldedLists.get(entries)
  if (known !== undefined) return known
  const set = new Set(entries.map(lowerAscii))
  foldedLists.set(entries, set)
  return set
}
