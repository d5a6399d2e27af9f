/** One POP3 command line after login (RFC 1939 §3), read as leniently as qmail-pop3d does: the verb is what is before the
 *  first space, in any case; numbers are leading digits, and what follows them is not looked at. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'

/** RFC 2449 §4 allows 255 with CRLF; here these two come on top. */
export const commandLineBytesMax = 255

export interface Command {
  /** In lower case; empty for an empty line or a line that begins with a space. */
  readonly verb: ByteString
  /** Without the spaces before it. */
  readonly argument: ByteString
  /** All that follows the one space after the verb: a password may begin with spaces. */
  readonly rest: ByteString
}

/** `line` is without its LF; one CR before that is dropped here. */
export function parseCommand(line: ByteString): Command {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  const space = text.indexOf(' ')
  if (space < 0) return { verb: lowerAscii(text), argument: '', rest: '' }
  let from = space
  while (text[from] === ' ') from++
  return { verb: lowerAscii(text.slice(0, space)), argument: text.slice(from), rest: text.slice(space + 1) }
}

export interface LeadingNumber {
  /** Beyond 2^53 not exact, but never small again. */
  readonly value: number
  /** What follows the digits, without the spaces before it. */
  readonly rest: ByteString
}

/** Undefined if the text does not begin with a digit: `-1` is no number. */
export function leadingNumber(text: ByteString): LeadingNumber | undefined {
  let end = 0
  while (isDigit(text.charCodeAt(end))) end++
  if (end === 0) return undefined
  let from = end
  while (text[from] === ' ') from++
  return { value: Number(text.slice(0, end)), rest: text.slice(from) }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}
