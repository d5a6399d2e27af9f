/** What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 3, RFC 7677), in the form of RFC 5803:
 *  `SCRAM-SHA-256$iterations:salt$storedKey:serverKey`.
 *  Never:  holds a password; a stolen verifier is no login, but passwords can be guessed with it. */
import type { ByteString } from '../../base/byte-string.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'

export interface ScramVerifier {
  readonly iterations: number
  readonly salt: ByteString
  readonly storedKey: ByteString
  readonly serverKey: ByteString
}

/** HMAC and hash are SHA-256's; the key derivation is PBKDF2 over them. */
export interface ScramDigests {
  hmac(key: ByteString, data: ByteString): ByteString
  hash(data: ByteString): ByteString
  pbkdf2(password: ByteString, salt: ByteString, iterations: number): Promise<ByteString>
}

const digestBytes = 32
/** RFC 7677 4. */
const iterationsMin = 4096
/** Each login costs the client so many, and us with PLAIN; a file that asks for more is wrong. */
const iterationsMax = 1_000_000
const saltBytesMin = 8
const saltBytesMax = 64
const textBytesMax = 512

export function formatScramVerifier({ iterations, salt, storedKey, serverKey }: ScramVerifier): string {
  return `SCRAM-SHA-256$${iterations}:${encodeBase64(salt)}$${encodeBase64(storedKey)}:${encodeBase64(serverKey)}`
}

/** Undefined for anything else. */
export function parseScramVerifier(text: string): ScramVerifier | undefined {
  if (text.length > textBytesMax) return undefined
  const [scheme, first = '', second = '', more] = text.split('$')
  const [iterationsText = '', saltText = '', saltMore] = first.split(':')
  const [storedText = '', serverText = '', keyMore] = second.split(':')
  if (scheme !== 'SCRAM-SHA-256' || more !== undefined || saltMore !== undefined || keyMore !== undefined)
    return undefined
  const iterations = /^[0-9]{4,8}$/.test(iterationsText) ? Number(iterationsText) : 0
  const [salt, storedKey, serverKey] = [saltText, storedText, serverText].map(decodeBase64)
  if (iterations < iterationsMin || iterations > iterationsMax) return undefined
  if (salt === undefined || salt.length < saltBytesMin || salt.length > saltBytesMax) return undefined
  if (storedKey?.length !== digestBytes || serverKey?.length !== digestBytes) return undefined
  return { iterations, salt, storedKey, serverKey }
}

/** RFC 5802 3; the password is prepared already (RFC 4013), in UTF-8. */
export async function deriveScramVerifier(
  digests: ScramDigests,
  password: ByteString,
  salt: ByteString,
  iterations: number,
): Promise<ScramVerifier> {
  const salted = await digests.pbkdf2(password, salt, iterations)
  const storedKey = digests.hash(digests.hmac(salted, 'Client Key'))
  return { iterations, salt, storedKey, serverKey: digests.hmac(salted, 'Server Key') }
}
