/** The name under which a server introduces itself: the first word of its greeting, and of its answer to EHLO
 *  (RFC 5321 §4.3.1, §4.1.1.1). */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'

/** Of a reply's text, in lower case; undefined if it does not begin with a word. */
export function introducedName(replyText: ByteString): ByteString | undefined {
  const word = /^[0-9]{3}[ -]([^ \n]{1,255})/.exec(replyText)?.[1]
  return word === undefined ? undefined : withoutDot(lowerAscii(word))
}

/** Names that tell hosts apart: many are called `localhost`, and a name without a dot may be any host's. */
export function distinctNames(names: readonly ByteString[]): ReadonlySet<ByteString> {
  const folded = names.map((name) => withoutDot(lowerAscii(name)))
  return new Set(folded.filter((name) => name.includes('.') && !name.startsWith('localhost.')))
}

function withoutDot(name: ByteString): ByteString {
  return name.endsWith('.') ? name.slice(0, -1) : name
}
