/** The issuers whose tokens are accepted: lines of control/oauthissuers, `URL AUDIENCE CLAIM`, and the documents that an issuer
 *  publishes about itself (OpenID Connect Discovery 1.0) and its keys (RFC 7517).
 *  Never:  keeps private parts of a key, or a symmetric key. */
import type { ByteString } from '../../base/byte-string.ts'

export interface Issuer {
  /** As tokens name it, to the byte. */
  readonly url: string
  /** What a token must be meant for. */
  readonly audience: string
  /** Which claim of a token holds the account's address. */
  readonly claim: string
}

/** A public key; its fields are texts (RFC 7518 6). */
export type PublicKey = Readonly<Record<string, string>>

const textBytesMax = 2048
const keysMax = 64
const fieldsOf: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
}

/** What `parseIssuer` reads, in words. */
export const issuerForm = 'https URL, audience, claim'

/** Undefined for a line that is none. */
export function parseIssuer(line: ByteString): Issuer | undefined {
  const [url = '', audience, claim, more] = line.trim().split(/[ \t]+/)
  if (audience === undefined || claim === undefined || more !== undefined || line.length > textBytesMax)
    return undefined
  return isHttps(url) ? { url, audience, claim } : undefined
}

/** The document in which the issuer describes itself. */
export function discoveryUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}

/** Where its keys are; undefined if the document is not that issuer's. */
export function keysUrl(document: unknown, issuer: string): string | undefined {
  const fields = asFields(document)
  const url = fields.get('jwks_uri')
  return fields.get('issuer') === issuer && typeof url === 'string' && isHttps(url) ? url : undefined
}

/** The public keys for signatures in a key set; undefined if it is none. */
export function readKeys(document: unknown): PublicKey[] | undefined {
  const keys = asFields(document).get('keys')
  if (!Array.isArray(keys)) return undefined
  const read = keys.slice(0, keysMax).map((key) => readKey(asFields(key)))
  return read.filter((key) => key !== undefined)
}

function readKey(fields: ReadonlyMap<string, unknown>): PublicKey | undefined {
  const type = fields.get('kty')
  const needed = typeof type === 'string' && Object.hasOwn(fieldsOf, type) ? fieldsOf[type] : undefined
  if (needed === undefined || (fields.get('use') ?? 'sig') !== 'sig') return undefined
  const key: Record<string, string> = {}
  for (const name of ['kty', 'kid', 'alg', ...needed]) {
    const value = fields.get(name)
    if (typeof value === 'string' && value.length <= textBytesMax) key[name] = value
    else if (needed.includes(name)) return undefined
  }
  return key
}

function isHttps(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && url.protocol === 'https:' && url.username === '' && url.search === '' && url.hash === ''
}

function asFields(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
}
