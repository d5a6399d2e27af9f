/** A self-signed certificate for one host name (RFC 5280), of an ECDSA key with SHA-256 (RFC 5758 3.2).
 *  Knows:  the form. Never: makes keys or signs; the signature is handed in. */
import { bitString, explicit, integer, objectIdentifier, sequence, set, time, utf8String } from './der.ts'
import { alternativeNames, extension } from './extensions.ts'

export interface CertificateFacts {
  /** ASCII; becomes the common name and the one subject alternative name. */
  readonly hostName: string
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array
  /** Up to 20 bytes, random. */
  readonly serial: Uint8Array
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** A common name is limited to 64 characters (RFC 5280 A.1, ub-common-name). */
const commonNameMax = 64
const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))

/** What is signed. */
export function toBeSigned(facts: CertificateFacts): Buffer {
  const commonName = sequence(objectIdentifier('2.5.4.3'), utf8String(facts.hostName.slice(0, commonNameMax)))
  const name = sequence(set(commonName))
  return sequence(
    explicit(0, integer(Buffer.of(2))),
    // The top bit is dropped so that the number stays positive in 20 bytes (4.1.2.2).
    integer(Buffer.from(facts.serial).map((byte, at) => (at === 0 ? (byte & 0x7f) | 0x01 : byte))),
    ecdsaWithSha256,
    name,
    sequence(time(facts.notBeforeMs), time(facts.notAfterMs)),
    name,
    facts.publicKey,
    explicit(3, extensions(facts.hostName)),
  )
}

/** The certificate; `signature` is the DER form that ECDSA signers give. */
export function certificate(signed: Uint8Array, signature: Uint8Array): Buffer {
  return sequence(signed, ecdsaWithSha256, bitString(signature))
}

export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

function extensions(hostName: string): Buffer {
  return sequence(
    alternativeNames([hostName]),
    extension('2.5.29.19', true, sequence()),
    // digitalSignature: all that an ECDSA server key does in TLS.
    extension('2.5.29.15', true, bitString(Buffer.of(0x80), 7)),
    extension('2.5.29.37', false, sequence(objectIdentifier('1.3.6.1.5.5.7.3.1'))),
  )
}
