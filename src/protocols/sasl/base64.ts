/** Base64 (RFC 4648 4) of ByteStrings, strict: padded, no blanks, nothing left over. */
import type { ByteString } from '../../base/byte-string.ts'

export function encodeBase64(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('base64')
}

/** Undefined for anything that is not the one encoding of some bytes. */
export function decodeBase64(text: string): ByteString | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes.toString('latin1') : undefined
}
