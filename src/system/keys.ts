/** Keys and password hashes, as node:crypto gives them. */
import {
  argon2,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
  createPrivateKey,
} from 'node:crypto'
import { promisify } from 'node:util'

export interface SigningKey {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer
  /** PKCS #8 in PEM: a secret. */
  readonly privatePem: string
  /** ECDSA over SHA-256, in DER. */
  sign(bytes: Uint8Array): Buffer
}

/** ECDSA on P-256. */
export function newSigningKey(): SigningKey {
  const pair: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }),
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    sign: (bytes) => sign('sha256', bytes, pair.privateKey),
  }
}

/** Undefined if certificate and key are a pair; else what is wrong, without a byte of the key. */
export function keyPairFault(certificatePem: string, keyPem: string): string | undefined {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(certificatePem)
  } catch {
    return 'the certificate file holds no certificate in PEM form'
  }
  try {
    if (certificate.checkPrivateKey(createPrivateKey(keyPem))) return undefined
  } catch {
    return 'the key file holds no unencrypted private key in PEM form'
  }
  return 'certificate and key do not belong together'
}

/** RFC 1035 §2.3.4: 255 bytes on the wire. */
const hostNameLengthMax = 253

/** The host names of a certificate's subjectAltName, in lower case; wildcards are none. Node gives them
 *  as one string, with quotes where a name is odd: so each is asked for again. */
export function hostNamesOf(certificatePem: string): string[] {
  const certificate = new X509Certificate(certificatePem)
  const names = new Set<string>()
  for (const part of (certificate.subjectAltName ?? '').split(', ')) {
    if (!part.startsWith('DNS:')) continue
    const name = part.slice('DNS:'.length).toLowerCase()
    // OpenSSL takes a wildcard as a name that covers itself.
    if (name === '' || name.length > hostNameLengthMax || name.includes('*')) continue
    if (certificate.checkHost(name, { subject: 'never', wildcards: false }) !== undefined) names.add(name)
  }
  return [...names]
}

/** By an exact name or a wildcard of subjectAltName. */
export function coversHost(certificatePem: string, host: string): boolean {
  return new X509Certificate(certificatePem).checkHost(host, { subject: 'never' }) !== undefined
}

const argon2Async = promisify(argon2)
/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const cost = { memory: 19_456, passes: 2, parallelism: 1 } as const
const hashBytes = 32
const saltBytes = 16

/** A PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(saltBytes)
  const message = Buffer.from(password, 'utf8')
  const hash = await argon2Async('argon2id', { ...cost, message, nonce, tagLength: hashBytes })
  const { memory, passes, parallelism } = cost
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(nonce)}$${unpadded(hash)}`
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
