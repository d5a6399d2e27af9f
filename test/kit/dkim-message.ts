/** Messages and what DKIM needs of them: header and body parted at the first empty line, both digests of the body. */
import type { BodyDigest, KeyAnswer, Verdict } from '../../src/protocols/dkim/verify.ts'
import { CanonicalBody, type Canonicalization } from '../../src/protocols/dkim/canonical-body.ts'
import { keyText } from '../../src/protocols/dkim/key-text.ts'
import { oversignedFields, signatureField } from '../../src/protocols/dkim/sign.ts'
import { verifySignatures } from '../../src/protocols/dkim/verify.ts'
import { RunningSha256 } from '../../src/system/digests.ts'
import {
  checkSignature,
  type KeyKind,
  makeSignature,
  newPrivateKey,
  publicBytes,
  readPrivateKey,
} from '../../src/system/signatures.ts'

/** `message` with LF or CRLF, latin1. */
export function parted(message: string): { header: string; body: string } {
  const text = message.replaceAll('\r\n', '\n')
  const at = text.indexOf('\n\n')
  return at < 0 ? { header: text, body: '' } : { header: text.slice(0, at + 1), body: text.slice(at + 2) }
}

/** `pieces` of a body with LF. */
export function bodyDigest(canonicalization: Canonicalization, pieces: Iterable<string>): BodyDigest {
  const hash = new RunningSha256()
  const body = new CanonicalBody(canonicalization, hash.update)
  for (const piece of pieces) body.push(piece)
  body.end()
  return { bytes: body.bytes, sha256: hash.finish() }
}

/** `now`: seconds since 1970. */
export function verified(
  message: string,
  keys: (name: string) => KeyAnswer,
  now: number = Date.now() / 1000,
): Promise<Verdict> {
  const { header, body } = parted(message)
  const bodies = { simple: bodyDigest('simple', [body]), relaxed: bodyDigest('relaxed', [body]) }
  return verifySignatures(header, bodies, { keys: (name) => Promise.resolve(keys(name)), check: checkSignature, now })
}

/** A zone of TXT records: what is not there is absent. */
export function zoneOf(records: Readonly<Record<string, readonly string[]>>): (name: string) => KeyAnswer {
  const zone = new Map(Object.entries(records))
  return (name) => {
    const texts = zone.get(name)
    return texts === undefined ? { kind: 'absent' } : { kind: 'found', texts }
  }
}

/** A stranger who signs: his key, and its record in the DNS. */
export interface Signer {
  readonly domain: string
  /** `s1._domainkey.DOMAIN` */
  readonly name: string
  readonly record: string
  /** The message with a signature on top; lines ended by LF. */
  sign(message: string): string
}

export async function signerOf(domain: string, kind: KeyKind = 'ed25519'): Promise<Signer> {
  const key = readPrivateKey(Buffer.from(await newPrivateKey(kind)))
  return {
    domain,
    name: `s1._domainkey.${domain}`,
    record: keyText(kind, publicBytes(key)),
    sign(message) {
      const { header, body } = parted(message)
      const facts = { now: Math.floor(Date.now() / 1000), validFor: undefined, oversigned: oversignedFields }
      const { sha256: bodySha256 } = bodyDigest('relaxed', [body])
      const signing = {
        domain,
        selector: 's1',
        algorithm: `${kind}-sha256`,
        sign: makeSignature.bind(null, key),
      } as const
      return `${signatureField(header, signing, { ...facts, bodySha256 }) ?? ''}${message.replaceAll('\r\n', '\n')}`
    },
  }
}
