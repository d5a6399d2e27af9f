/** Extensions of certificates and of requests for them (RFC 5280 §4.2). */
import { boolean, implicit, objectIdentifier, octetString, sequence } from './der.ts'

export function extension(identifier: string, critical: boolean, value: Uint8Array): Buffer {
  return sequence(objectIdentifier(identifier), ...(critical ? [boolean(true)] : []), octetString(value))
}

/** subjectAltName of ASCII host names. */
export function alternativeNames(hostNames: readonly string[]): Buffer {
  const names = hostNames.map((name) => implicit(2, Buffer.from(name, 'ascii')))
  return extension('2.5.29.17', false, sequence(...names))
}
