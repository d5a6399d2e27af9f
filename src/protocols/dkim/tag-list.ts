/** `name=value` pairs between semicolons (RFC 6376 §3.2): signatures and key records. */
import type { ByteString } from '../../base/byte-string.ts'

/** Of a whole list. Signatures have 15 tags, and key records 8. */
const tagsMax = 100
const listBytesMax = 16_384

/** In the order of the list; names and values keep their case, blanks around values are gone, those inside are not.
 *  Undefined if it is no list: a name twice, a name that is none, a value with other bytes than visible ASCII. */
export function parseTagList(text: ByteString): ReadonlyMap<ByteString, ByteString> | undefined {
  if (text.length > listBytesMax) return undefined
  const specs = text.split(';')
  // The last semicolon may end the list.
  if (specs.length > 1 && isBlank(specs.at(-1) ?? '')) specs.pop()
  if (specs.length > tagsMax) return undefined
  const tags = new Map<ByteString, ByteString>()
  for (const spec of specs) {
    const equals = spec.indexOf('=')
    if (equals < 0) return undefined
    const name = trimBlanks(spec.slice(0, equals))
    const value = trimBlanks(spec.slice(equals + 1))
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name) || tags.has(name) || !/^[!-:<-~ \t\r\n]*$/.test(value)) return undefined
    tags.set(name, value)
  }
  return tags
}

/** Elements between colons, blanks around them gone. */
export function colonList(value: ByteString): ByteString[] {
  return value.split(':').map(trimBlanks)
}

export function withoutBlanks(text: ByteString): ByteString {
  return text.replace(/[ \t\r\n]+/g, '')
}

function isBlank(text: ByteString): boolean {
  return /^[ \t\r\n]*$/.test(text)
}

function trimBlanks(text: ByteString): ByteString {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text.charAt(from))) from++
  while (to > from && isBlank(text.charAt(to - 1))) to--
  return text.slice(from, to)
}
