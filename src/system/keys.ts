/** Keys, as node:crypto gives them. */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'

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

/** Whom a certificate speaks for, and whether anybody but itself says so; undefined if it is none in PEM form. */
export function certificateFacts(
  pem: string,
): { readonly hosts: readonly string[]; readonly selfSigned: boolean } | undefined {
  try {
    const certificate = new X509Certificate(pem)
    const names = (certificate.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('DNS:'))
    const hosts = names.map((name) => name.slice('DNS:'.length).toLowerCase())
    return { hosts, selfSigned: certificate.issuer === certificate.subject }
  } catch {
    return undefined
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

/** SHA-256 of the certificate's public key (SubjectPublicKeyInfo): the same for each certificate of one key. Throws if it
 *  is no certificate. */
export function publicKeyDigest(certificatePem: string): Buffer {
  const spki = new X509Certificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest()
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

/** When the first of a chain is valid, milliseconds since 1970; of it alone, since clients complete the others by their own. */
export function validityOf(certificatePem: string): { readonly fromMs: number; readonly toMs: number } {
  const { validFromDate, validToDate } = new X509Certificate(certificatePem)
  return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() }
}

/** By an exact name or a wildcard of subjectAltName. */
export function coversHost(certificatePem: string, host: string): boolean {
  return new X509Certificate(certificatePem).checkHost(host, { subject: 'never' }) !== undefined
}
