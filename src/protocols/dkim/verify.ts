/** A verdict on each signature of a message (RFC 6376 §6, RFC 8301, RFC 8463).
 *  Never:  sees the body: its two digests are enough. Asks one question a signature, all at once.
 *  Fails:  never; trouble with DNS is `temperror`, which is no reason to refuse anything. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Canonicalization } from './canonical-body.ts'
import { type HeaderField, headerFields, signedText, valueOf } from './header-fields.ts'
import { type KeyRecord, readKeyRecord } from './key-record.ts'
import { type Algorithm, readSignature, type Signature } from './signature.ts'

/** Of a message, from the top; more are not looked at. */
export const signaturesMax = 8
/** More is not hashed; see RFC 6376 §8.4 on what it costs. */
export const headerBytesMax: number = 128 * 1024
/** At one name: which of them is meant is undefined (RFC 6376 §3.6.2.2). */
const keysMax = 3

/** A whole body after canonicalization. */
export interface BodyDigest {
  readonly bytes: number
  readonly sha256: ByteString
}

/** Those that the signatures ask for (`bodiesWanted`). */
export type BodyDigests = Readonly<Partial<Record<Canonicalization, BodyDigest>>>

/** RFC 8601 §2.7.1; `none`: as if it were not there. */
export type DkimResult = 'pass' | 'fail' | 'policy' | 'none' | 'temperror' | 'permerror'

export interface SignatureVerdict {
  readonly result: DkimResult
  /** For a person; empty at `pass`. */
  readonly reason: string
  /** As far as they could be read; in lower case. */
  readonly domain: ByteString
  readonly selector: ByteString
  /** The first bytes of b=. */
  readonly mark: ByteString
  readonly algorithm: Algorithm | undefined
}

export interface Verdict {
  /** From the top. */
  readonly signatures: readonly SignatureVerdict[]
  /** So many more were there. */
  readonly skipped: number
}

export type KeyAnswer =
  | { readonly kind: 'found'; readonly texts: readonly ByteString[] }
  | { readonly kind: 'absent' }
  | { readonly kind: 'trouble'; readonly why: string }

/** `text` is signed by `key`; RSA keys below 1024 and above 4096 bits say nothing (RFC 8301 §3.2). */
export type Check = (
  key: KeyRecord,
  text: ByteString,
  signature: ByteString,
) => 'good' | 'bad' | 'unusable' | 'weak' | 'huge'

export interface Verifier {
  /** The TXT records of a name; with its own time limit. */
  keys(name: string): Promise<KeyAnswer>
  readonly check: Check
  /** Seconds since 1970. */
  readonly now: number
}

/** `header`: with LF, without the empty line. */
export async function verifySignatures(header: ByteString, bodies: BodyDigests, verifier: Verifier): Promise<Verdict> {
  const fields = headerFields(header)
  const found = fields.filter(({ name }) => name === 'dkim-signature')
  const looked = found.slice(0, signaturesMax)
  const skipped = found.length - looked.length
  if (header.length > headerBytesMax) return { signatures: looked.map(() => tooLong), skipped }
  return { signatures: await Promise.all(looked.map((field) => verdictOn(field, fields, bodies, verifier))), skipped }
}

const tooLong: SignatureVerdict = {
  result: 'policy',
  reason: `the header has more than ${headerBytesMax} bytes`,
  domain: '',
  selector: '',
  mark: '',
  algorithm: undefined,
}

async function verdictOn(
  field: HeaderField,
  fields: readonly HeaderField[],
  bodies: BodyDigests,
  verifier: Verifier,
): Promise<SignatureVerdict> {
  const read = readSignature(valueOf(field), verifier.now)
  if (!read.read) return { ...read, algorithm: undefined }
  const { signature } = read
  const { domain, selector, mark, algorithm } = signature
  const verdict = (result: DkimResult, reason: string): SignatureVerdict => ({
    result,
    reason,
    domain,
    selector,
    mark,
    algorithm,
  })
  const answer = await verifier.keys(`${selector}._domainkey.${domain}`)
  if (answer.kind === 'trouble') return verdict('temperror', `no answer about the key: ${answer.why}`)
  if (answer.kind === 'absent') return verdict('permerror', 'there is no key')
  const records = answer.texts.map(readKeyRecord).filter((record) => record !== undefined)
  const text = signedText(fields, signature.names, field, signature.header)
  let last: Finding = { result: 'permerror', reason: 'there is no key' }
  for (const record of records.slice(0, keysMax)) {
    last =
      'reason' in record
        ? { result: 'permerror', reason: record.reason }
        : evaluate(record, signature, text, bodies, verifier.check)
    if (last.result === 'pass') break
  }
  return verdict(last.result, last.reason)
}

interface Finding {
  readonly result: DkimResult
  readonly reason: string
}

function evaluate(key: KeyRecord, signature: Signature, text: ByteString, bodies: BodyDigests, check: Check): Finding {
  const finding = verifyStrictly(key, signature, text, bodies[signature.body], check)
  // RFC 6376 §3.6.1: a domain that is testing must be no worse off than one without signatures.
  return key.isTest && finding.result !== 'pass'
    ? { result: 'none', reason: `${finding.reason}; the key is a test` }
    : finding
}

function verifyStrictly(
  key: KeyRecord,
  signature: Signature,
  text: ByteString,
  body: BodyDigest | undefined,
  check: Check,
): Finding {
  const { algorithm, identityDomain, domain, bodyBytes, bodyHash, value } = signature
  if (body === undefined) return { result: 'permerror', reason: 'the body was not hashed as c= wants it' }
  if (algorithm !== `${key.kind}-sha256`) return { result: 'permerror', reason: 'the key is of another kind' }
  if (key.isStrict && identityDomain !== domain) return { result: 'permerror', reason: 'the key forbids i= below d=' }
  // Others can append text to such a message (RFC 6376 §8.2).
  if (bodyBytes !== undefined && bodyBytes !== body.bytes)
    return { result: 'policy', reason: 'l= does not cover the body' }
  switch (check(key, text, value)) {
    case 'unusable':
      return { result: 'permerror', reason: 'the key cannot be read' }
    case 'weak':
      return { result: 'policy', reason: 'the key has less than 1024 bits' }
    case 'huge':
      return { result: 'policy', reason: 'the key has more than 4096 bits' }
    case 'bad':
      return { result: 'fail', reason: 'the header was changed, or the key is another' }
    case 'good':
      return body.sha256 === bodyHash
        ? { result: 'pass', reason: '' }
        : { result: 'fail', reason: 'the body was changed' }
  }
}
