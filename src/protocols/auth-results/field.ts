/** The Authentication-Results field (RFC 8601 §2.2): what was found out about where a message comes from.
 *  Never:  puts a stranger's text anywhere but in a value: what is no token is quoted, and comments hold only our own words. */
import type { ByteString } from '../../base/byte-string.ts'

/** `spf=pass smtp.mailfrom=example.org`. */
export interface MethodResult {
  readonly method: string
  readonly result: string
  /** In our own words; empty: none. */
  readonly comment: string
  /** `ptype.property` and value; those without a value are left out. */
  readonly properties: readonly (readonly [name: string, value: ByteString])[]
}

/** RFC 5322 §2.1.1. */
const lineBytesWanted = 78
const valueBytesMax = 256

/** The whole field, lines ended by LF. `id`: whose results these are (RFC 8601 §2.5). */
export function authenticationResults(id: ByteString, results: readonly MethodResult[]): ByteString {
  let field = ''
  let line = `Authentication-Results: ${pvalue(id)};`
  const add = (word: ByteString): void => {
    if (line.length + 1 + word.length <= lineBytesWanted) {
      line += ` ${word}`
      return
    }
    field += `${line}\n`
    line = `\t${word}`
  }
  if (results.length === 0) add('none')
  for (const [index, { method, result, comment, properties }] of results.entries()) {
    const words = [`${method}=${result}`]
    if (comment !== '') words.push(`(${ownWords(comment)})`)
    for (const [name, value] of properties) if (value !== '') words.push(`${name}=${pvalue(value)}`)
    const last = index === results.length - 1 ? '' : ';'
    for (const [at, word] of words.entries()) add(at === words.length - 1 ? word + last : word)
  }
  return `${field}${line}\n`
}

/** Of an address both parts may be tokens (RFC 8601 §2.2, `pvalue`). */
function pvalue(value: ByteString): ByteString {
  const text = value.replace(/[^ -~\x80-\xff]/g, '').slice(0, valueBytesMax)
  if (/^(?:[!#$%&'*+\-.0-9A-Z^_`a-z{|}~\x80-\xff]+@)?[!#$%&'*+\-.0-9A-Z^_`a-z{|}~\x80-\xff]+$/.test(text)) return text
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

/** Nothing that ends a comment, or looks like the next result to a reader that does not know comments. */
function ownWords(comment: string): string {
  return comment.replace(/[^A-Za-z0-9 .,:=_-]/g, '').slice(0, 2 * valueBytesMax)
}
