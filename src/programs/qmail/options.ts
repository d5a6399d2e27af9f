/** Options of qmail's programs: getopt's letters, arguments attached or not; `--` or the first operand ends them. */
import type { ByteString } from '../../base/byte-string.ts'
import { Fatal } from './call.ts'

export interface ParsedOptions {
  /** In order; the argument is empty for a letter that takes none. */
  readonly options: readonly { readonly letter: string; readonly value: ByteString }[]
  readonly operands: readonly ByteString[]
}

/** `letters` as for getopt(3): a colon after a letter says that it takes an argument.
 *  Throws Fatal 100 with getopt's words, and `usage` under them if there is one. */
export function parseOptions(
  args: readonly ByteString[],
  letters: string,
  program: string,
  usage?: string,
): ParsedOptions {
  const fail = (text: string): Fatal => new Fatal(100, `${program}: ${text}${usage === undefined ? '' : `\n${usage}`}`)
  const options: { letter: string; value: ByteString }[] = []
  let next = 0
  for (; next < args.length; next++) {
    const word = args[next] ?? ''
    if (word === '--') {
      next++
      break
    }
    if (word.length < 2 || !word.startsWith('-')) break
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at)
      const known = letter === ':' ? -1 : letters.indexOf(letter)
      if (known < 0) throw fail(`illegal option -- ${letter}`)
      if (letters[known + 1] !== ':') {
        options.push({ letter, value: '' })
        continue
      }
      const attached = word.slice(at + 1)
      const value = attached === '' ? args[++next] : attached
      if (value === undefined) throw fail(`option requires an argument -- ${letter}`)
      options.push({ letter, value })
      break
    }
  }
  return { options, operands: args.slice(next) }
}
