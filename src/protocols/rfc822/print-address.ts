/** An address and a display name as a header has them, quoted where they must be (RFC 5322 §3.2.4, §3.4). */
import type { ByteString } from '../../base/byte-string.ts'

/** `address` is an envelope's. `name` may be empty. */
export function printMailbox(name: ByteString, address: ByteString): ByteString {
  const printed = printAddress(address)
  if (name === '') return printed
  const words = name.split(' ').filter((word) => word !== '')
  return `${words.every(isAtom) ? words.join(' ') : quoteString(name)} <${printed}>`
}

/** Without angle brackets. */
export function printAddress(address: ByteString): ByteString {
  const at = address.lastIndexOf('@')
  const local = at < 0 ? address : address.slice(0, at)
  const printed = local.split('.').every(isAtom) ? local : quoteString(local)
  return at < 0 ? printed : `${printed}${address.slice(at)}`
}

/** Letters of an atom (RFC 5322 §3.2.3), and bytes from 128 up (RFC 6532 §3.2). */
function isAtom(text: ByteString): boolean {
  return /^[!#-'*+\-/0-9=?A-Z^_`a-z{-~\x80-\xff]+$/.test(text)
}

/** A control character in it becomes a blank: it could end the field. */
function quoteString(text: ByteString): ByteString {
  return `"${text.replace(/["\\]/g, '\\$&').replace(/[^ -~\x80-\xff]/g, ' ')}"`
}
