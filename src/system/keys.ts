/** Keys, as node:crypto gives them. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto'

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

/** A private key in PEM form that a request for a certificate can be signed with; else why not, without a byte of it. */
export function requestKey(
  pem: string,
): { readonly kind: 'ecdsa' | 'rsa'; readonly publicKey: Buffer; sign(bytes: Uint8Array): Buffer } | string {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    return 'holds no unencrypted private key in PEM form'
  }
  const { asymmetricKeyType } = key
  if (asymmetricKeyType !== 'ec' && asymmetricKeyType !== 'rsa')
    return `holds a key (${asymmetricKeyType}) that authorities do not certify`
  const kind = asymmetricKeyType === 'ec' ? 'ecdsa' : 'rsa'
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return { kind, publicKey, sign: (bytes) => sign('sha256', bytes, key) }
}

/** A certificate's host names, and whether it is self-signed; undefined if it is none in PEM form. */
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

/** The issuer as people call it: its organization and name. */
export function issuerOf(certificatePem: string): string {
  const parts = new X509Certificate(certificatePem).issuer.split('\n')
  const named = ['O=', 'CN='].flatMap((kind) => parts.find((part) => part.startsWith(kind))?.slice(kind.length) ?? [])
  return named.join(' ').replace(/[^ -~]/g, '?')
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

const chainLengthMax = 10
const oneCertificate = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g

/** A chain from the server's own certificate on, each signed by the next, rewritten without the text between them; else what
 *  is wrong with it. */
export function readChain(pem: string): { readonly own: X509Certificate; readonly text: string } | string {
  const blocks = pem.match(oneCertificate) ?? []
  if (blocks.length > chainLengthMax) return `it holds ${blocks.length} certificates`
  try {
    const chain = blocks.map((block) => new X509Certificate(block))
    const [own] = chain
    if (own === undefined) return 'it holds no certificate in PEM form'
    for (const [at, one] of chain.entries()) {
      const next = chain[at + 1]
      if (next !== undefined && !(one.checkIssued(next) && one.verify(next.publicKey)))
        return `its certificate ${at + 1} is not signed by certificate ${at + 2}`
    }
    return { own, text: chain.map((one) => one.toString()).join('') }
  } catch {
    return 'it holds a certificate that cannot be read'
  }
}
