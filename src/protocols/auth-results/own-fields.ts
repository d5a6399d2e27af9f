/** Authentication-Results fields that claim to be ours: readers believe them, so strangers' ones are removed (RFC 8601 §5). */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { type HeaderField, headerFields, valueOf } from '../dkim/header-fields.ts'

/** Tells whether a field's authserv-id is one of ours. */
export type IsOurs = (id: ByteString) => boolean

/** The header without them, and how many there were. `header`: lines ended by LF, without the empty line. */
export function withoutOwnResults(header: ByteString, isOurs: IsOurs): { header: ByteString; removed: number } {
  // Nearly no message has any.
  if (!/authentication-results/i.test(header)) return { header, removed: 0 }
  const fields = headerFields(header)
  const kept = fields.filter((field) => !claimsToBeOurs(field, isOurs))
  const removed = fields.length - kept.length
  if (removed === 0) return { header, removed }
  return { header: kept.map(({ raw }) => `${raw}\n`).join(''), removed }
}

/** A field that we cannot read counts, too: another reader could take it for ours. */
export function claimsToBeOurs(field: HeaderField, isOurs: IsOurs): boolean {
  if (field.name !== 'authentication-results') return false
  const id = authservId(valueOf(field))
  return id === undefined || isOurs(id)
}

/** A longer one names no host. */
const idBytesMax = 1000

/** In lower case, without a dot at its end. Undefined: it cannot be told. */
function authservId(value: ByteString): ByteString | undefined {
  const text = partAt(value, 0)?.text
  if (text === undefined || text.length > idBytesMax) return undefined
  const quoted = /^[ \t\n]*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1]?.replace(/\\(.)/g, '$1')
  const id = quoted ?? /^[ \t\n]*([^\0- ;"(),:<>@[\\\]/?=\x7f]+)/.exec(text)?.[1]
  return id === undefined ? undefined : lowerAscii(id.trim()).replace(/\.$/, '')
}

/** One of the parts that semicolons outside of quotes and comments divide: without its comments, and where the next one
 *  begins. Undefined: something is not closed. */
export function partAt(value: ByteString, from: number): { text: ByteString; next: number } | undefined {
  let text = ''
  let depth = 0
  let isQuoted = false
  let at = from
  for (; at < value.length; at++) {
    const byte = value.charAt(at)
    if (byte === '\\') {
      at++
      if (depth === 0) text += byte + value.charAt(at)
    } else if (isQuoted || (byte === '"' && depth === 0)) {
      if (byte === '"') isQuoted = !isQuoted
      text += byte
    } else if (byte === '(') depth++
    else if (byte === ')') depth--
    else if (byte === ';' && depth === 0) break
    else if (depth === 0) text += byte
    if (depth < 0) return undefined
  }
  return depth > 0 || isQuoted ? undefined : { text, next: at + 1 }
}
