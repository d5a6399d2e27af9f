/** A key in the DNS (RFC 6376 §3.6.1, RFC 8463 §4). */
import type { ByteString } from '../../base/byte-string.ts'
import { decodeBase64 } from '../sasl/base64.ts'
import { colonList, parseTagList, withoutBlanks } from './tag-list.ts'

export interface KeyRecord {
  readonly kind: 'rsa' | 'ed25519'
  /** RSA: SubjectPublicKeyInfo or RSAPublicKey in DER. Ed25519: 32 bytes. */
  readonly key: ByteString
  /** t=y: the domain is testing, and a failure counts for nothing. */
  readonly isTest: boolean
  /** t=s: i= may not be below d=. */
  readonly isStrict: boolean
}

export type ReadKey = KeyRecord | { readonly reason: string }

/** Undefined if the text is no key record at all: other things may stand at the name. */
export function readKeyRecord(text: ByteString): ReadKey | undefined {
  const tags = parseTagList(text)
  const data = tags?.get('p')
  if (tags === undefined || data === undefined) return undefined
  const [first] = tags.keys()
  if (tags.has('v') && (first !== 'v' || tags.get('v') !== 'DKIM1')) return { reason: 'unknown version of the key' }
  if (withoutBlanks(data) === '') return { reason: 'the key is revoked' }
  const kind = tags.get('k') ?? 'rsa'
  if (kind !== 'rsa' && kind !== 'ed25519') return { reason: 'unknown kind of key' }
  if (!colonList(tags.get('h') ?? 'sha256').includes('sha256')) return { reason: 'the key is not for SHA-256' }
  const services = colonList(tags.get('s') ?? '*')
  if (!services.includes('*') && !services.includes('email')) return { reason: 'the key is not for mail' }
  const key = decodeBase64(withoutBlanks(data))
  if (key === undefined || (kind === 'ed25519' && key.length !== 32)) return { reason: 'the key cannot be read' }
  const flags = colonList(tags.get('t') ?? '')
  return { kind, key, isTest: flags.includes('y'), isStrict: flags.includes('s') }
}
