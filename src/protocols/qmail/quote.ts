/** qmail's quoting of an address for SMTP and headers (RFC 5321 §4.1.2, Quoted-string): only the local part. */
import type { ByteString } from '../../base/byte-string.ts'

const specials = '"(),:;<>@[\\]'

export function quoteLocalPart(local: ByteString): ByteString {
  return needsQuotes(local) ? `"${local.replace(/[\r\n"\\]/g, '\\$&')}"` : local
}

/** Splits at the last `@` and quotes what is before it; without `@` the whole is a local part; empty stays empty. */
export function quoteAddress(address: ByteString): ByteString {
  if (address === '') return ''
  const at = address.lastIndexOf('@')
  if (at < 0) return quoteLocalPart(address)
  return quoteLocalPart(address.slice(0, at)) + address.slice(at)
}

function needsQuotes(local: ByteString): boolean {
  if (local === '' || local.startsWith('.') || local.endsWith('.') || local.includes('..')) return true
  for (let at = 0; at < local.length; at++) {
    const code = local.charCodeAt(at)
    if (code <= 32 || code >= 127 || specials.includes(local.charAt(at))) return true
  }
  return false
}
