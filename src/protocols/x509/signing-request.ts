/** A request to an authority for a certificate (PKCS #10, RFC 2986): host names and a public key, signed by that key.
 *  Never:  makes keys or signs; the signature is handed in. */
import { bitString, explicit, integer, objectIdentifier, sequence, set, tagged } from './der.ts'
import { alternativeNames } from './extensions.ts'

/** Over SHA-256. */
export type RequestAlgorithm = 'ecdsa' | 'rsa'

/** RFC 5758 §3.2; RFC 4055 §5, with its NULL. */
const algorithms: Readonly<Record<RequestAlgorithm, Buffer>> = {
  ecdsa: sequence(objectIdentifier('1.2.840.10045.4.3.2')),
  rsa: sequence(objectIdentifier('1.2.840.113549.1.1.11'), tagged(0x05)),
}

export interface RequestFacts {
  /** ASCII. They are in the extension alone: the subject is empty, as authorities ignore it or cut it. */
  readonly hostNames: readonly string[]
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array
}

/** What is signed. */
export function requestToBeSigned({ hostNames, publicKey }: RequestFacts): Buffer {
  const extensionRequest = sequence(
    objectIdentifier('1.2.840.113549.1.9.14'),
    set(sequence(alternativeNames(hostNames))),
  )
  return sequence(integer(Buffer.of(0)), sequence(), publicKey, explicit(0, extensionRequest))
}

/** The request in DER. */
export function signedRequest(signed: Uint8Array, algorithm: RequestAlgorithm, signature: Uint8Array): Buffer {
  return sequence(signed, algorithms[algorithm], bitString(signature))
}
