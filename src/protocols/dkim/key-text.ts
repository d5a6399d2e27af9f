/** The record of a key as it stands in a zone: TXT strings of at most 255 bytes (RFC 6376 §3.6.2.2). */
import type { ByteString } from '../../base/byte-string.ts'
import { encodeBase64 } from '../sasl/base64.ts'

const stringBytesMax = 255

/** Whole, as a resolver puts it together. */
export function keyText(kind: 'rsa' | 'ed25519', publicKey: ByteString): ByteString {
  return `v=DKIM1; k=${kind}; p=${encodeBase64(publicKey)}`
}

/** As a zone file has it. */
export function zoneStrings(text: ByteString): string {
  const parts = text.match(new RegExp(`.{1,${stringBytesMax}}`, 'g')) ?? []
  return parts.length === 1 ? `"${text}"` : `( ${parts.map((part) => `"${part}"`).join(' ')} )`
}

export function keyNameInDns(domain: ByteString, selector: ByteString): ByteString {
  return `${selector}._domainkey.${domain}`
}
