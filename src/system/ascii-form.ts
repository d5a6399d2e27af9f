import { domainToASCII } from 'node:url'
import { type ByteString, toBuffer, toText } from '../base/byte-string.ts'

/** A UTF-8 domain as the DNS knows it (RFC 5891); a name that has no such form comes back as it was, and no host has it. */
export function asciiForm(domain: ByteString): ByteString {
  if (!/[\x80-\xff]/.test(domain)) return domain
  const text = toText(domain)
  return toBuffer(domain).equals(Buffer.from(text, 'utf8')) ? domainToASCII(text) || domain : domain
}
