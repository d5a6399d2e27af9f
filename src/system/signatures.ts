/** Signatures of RSA (PKCS#1 v1.5) and Ed25519 over SHA-256, as DKIM uses them, by node:crypto.
 *  Never:  decides: sizes are said, limits are the caller's rules (RFC 8301 §3.2). */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { promisify } from 'node:util'
import { type ByteString, fromBuffer, toBuffer } from '../base/byte-string.ts'

export interface PublicKey {
  readonly kind: 'rsa' | 'ed25519'
  /** RSA: SubjectPublicKeyInfo or RSAPublicKey in DER. Ed25519: 32 bytes. */
  readonly key: ByteString
}

const rsaBitsMin = 1024
const rsaBitsMax = 4096

/** `text` is signed by `key`; RSA keys of other sizes than 1024 to 4096 bits are not asked. */
export function checkSignature(
  key: PublicKey,
  text: ByteString,
  signature: ByteString,
): 'good' | 'bad' | 'unusable' | 'weak' | 'huge' {
  const object = publicKey(key)
  if (object === undefined) return 'unusable'
  const bits = object.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < rsaBitsMin) return 'weak'
  if (bits !== undefined && bits > rsaBitsMax) return 'huge'
  return isGood(object, text, signature) ? 'good' : 'bad'
}

export function makeSignature(privateKey: KeyObject, text: ByteString): ByteString {
  const isEd25519 = privateKey.asymmetricKeyType === 'ed25519'
  return fromBuffer(isEd25519 ? sign(null, digest(text), privateKey) : sign('sha256', toBuffer(text), privateKey))
}

function isGood(key: KeyObject, text: ByteString, signature: ByteString): boolean {
  try {
    // RFC 8463 §3: Ed25519 signs the digest.
    if (key.asymmetricKeyType === 'ed25519') return verify(null, digest(text), key, toBuffer(signature))
    return verify('sha256', toBuffer(text), key, toBuffer(signature))
  } catch {
    // OpenSSL throws at moduli and exponents that make no sense.
    return false
  }
}

function publicKey({ kind, key }: PublicKey): KeyObject | undefined {
  if (kind === 'ed25519') {
    const x = toBuffer(key).toString('base64url')
    return attempt(() => createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } }))
  }
  const der = toBuffer(key)
  const object =
    attempt(() => createPublicKey({ key: der, format: 'der', type: 'spki' })) ??
    attempt(() => createPublicKey({ key: der, format: 'der', type: 'pkcs1' }))
  return object?.asymmetricKeyType === 'rsa' ? object : undefined
}

function attempt(make: () => KeyObject): KeyObject | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

function digest(text: ByteString): Buffer {
  return createHash('sha256').update(toBuffer(text)).digest()
}

export type KeyKind = 'rsa' | 'ed25519'

/** RSA of 4096 bits costs seven times the work, and its record does not fit every answer of the DNS. */
const newRsaBits = 2048

/** In PKCS#8 as PEM. */
export async function newPrivateKey(kind: KeyKind): Promise<string> {
  const make = promisify(generateKeyPair)
  const encoding = {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  } as const
  const pair =
    kind === 'rsa' ? await make('rsa', { modulusLength: newRsaBits, ...encoding }) : await make('ed25519', encoding)
  return pair.privateKey
}

/** PEM as PKCS#8 or PKCS#1. Throws, without a word of the key, if it is none that can sign. */
export function readPrivateKey(pem: Buffer): KeyObject {
  const key = attempt(() => createPrivateKey(pem))
  if (key === undefined) throw new Error('is no private key in PEM without a passphrase')
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (key.asymmetricKeyType === 'ed25519') return key
  if (key.asymmetricKeyType !== 'rsa') throw new Error('is neither an RSA nor an Ed25519 key')
  if (bits < rsaBitsMin || bits > rsaBitsMax) throw new Error(`is an RSA key of ${bits} bits: receivers want 2048`)
  return key
}

export function kindOf(key: KeyObject): KeyKind {
  return key.asymmetricKeyType === 'ed25519' ? 'ed25519' : 'rsa'
}

/** As a key record's p= has it, before base64 (RFC 6376 §3.6.1, RFC 8463 §4.2). */
export function publicBytes(privateKey: KeyObject): ByteString {
  const object = createPublicKey(privateKey)
  if (kindOf(privateKey) === 'ed25519')
    return fromBuffer(Buffer.from(object.export({ format: 'jwk' }).x ?? '', 'base64url'))
  return fromBuffer(object.export({ format: 'der', type: 'spki' }))
}
