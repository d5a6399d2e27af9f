/** Which program a `|command` of a `.qmail` line begins with, where that can be told without a shell. */
import { type ByteString, toText } from '../../base/byte-string.ts'

/** Words that a shell knows itself (POSIX.1-2024, XCU 2.4 and 2.15, and common others). */
const shellWords: ReadonlySet<string> = new Set(
  (
    'alias bg break case cd command continue do done echo elif else esac eval exec exit export false fc fg fi for ' +
    'function getopts hash if in jobs kill let local printf pwd read readonly return select set shift source test then ' +
    'time times trap true type typeset ulimit umask unalias unset until wait while'
  ).split(' '),
)

/** A whole path, or a name for PATH. Undefined: what a shell makes of the line is its own. */
export function programIn(command: ByteString): string | undefined {
  const word = /^[ \t]*((?:\/|[A-Za-z])[\w./+@%,:-]*)(?:[ \t]|$)/.exec(toText(command))?.[1]
  if (word === undefined || shellWords.has(word)) return undefined
  // A relative path is below the user's home.
  return word.includes('/') && !word.startsWith('/') ? undefined : word
}
