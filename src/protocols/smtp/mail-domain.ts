/** What may stand after the `@` of an address in an envelope (RFC 5321 §4.1.2, RFC 6531 §3.3): a domain, or a literal in
 *  brackets. Not whether such a host can be: only that nothing in it is taken for something else by the next server.
 *  The empty literal `[]` is qmail's own mark of bounces and VERP. */
import type { ByteString } from '../../base/byte-string.ts'

/** True without `@`: the whole is a local part then, and empty is the sender of a bounce. */
export function hasMailDomain(address: ByteString): boolean {
  const at = address.lastIndexOf('@')
  return at < 0 || isMailDomain(address.slice(at + 1))
}

/** Bytes from 128 up pass: they are a name in UTF-8, or one that no host has. */
export function isMailDomain(domain: ByteString): boolean {
  return /^(?:[^\0- \x7f()<>,;:\\"@[\]]*|\[[!-Z^-~]*\])$/.test(domain)
}
