/** Digests over ByteStrings, as node:crypto gives them. */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { type ByteString, fromBuffer, toBuffer } from '../base/byte-string.ts'

export function sha256(data: ByteString): ByteString {
  return fromBuffer(createHash('sha256').update(toBuffer(data)).digest())
}

/** Of data that comes in pieces. */
export class RunningSha256 {
  private readonly hash = createHash('sha256')

  readonly update = (data: ByteString): void => {
    this.hash.update(data, 'latin1')
  }

  finish(): ByteString {
    return fromBuffer(this.hash.digest())
  }
}

export function hmacSha256(key: ByteString, data: ByteString): ByteString {
  return fromBuffer(createHmac('sha256', toBuffer(key)).update(toBuffer(data)).digest())
}

/** PBKDF2 with HMAC-SHA-256 (RFC 8018 5.2), on the thread pool: 32 bytes. */
export function pbkdf2Sha256(password: ByteString, salt: ByteString, iterations: number): Promise<ByteString> {
  return new Promise((resolve, reject) => {
    pbkdf2(toBuffer(password), toBuffer(salt), iterations, 32, 'sha256', (error, key) => {
      if (error === null) resolve(fromBuffer(key))
      else reject(error)
    })
  })
}

/** In a time that depends on the lengths alone. */
export function sameBytes(a: ByteString, b: ByteString): boolean {
  return a.length === b.length && timingSafeEqual(toBuffer(a), toBuffer(b))
}

/** In base64. */
export function hmacSha1Base64(key: ByteString, data: ByteString): ByteString {
  return createHmac('sha1', toBuffer(key)).update(toBuffer(data)).digest('base64')
}
