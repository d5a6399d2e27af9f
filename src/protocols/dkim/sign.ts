/** Makes a DKIM-Signature (RFC 6376 §5): relaxed/relaxed, the whole body, and every field that readers see or that changes
 *  what they see.
 *  Never:  signs what the next hop may add or change: the trace, and fields of lists that are not there.
 *  The caller has the message in its final form: nothing may touch these fields or the body afterwards. */
import type { ByteString } from '../../base/byte-string.ts'
import { encodeBase64 } from '../sasl/base64.ts'
import { headerFields, signedText } from './header-fields.ts'
import type { Algorithm } from './signature.ts'

/** Named once more than they are there (RFC 6376 §8.15), so that no other can be added. */
export const oversignedFields: readonly ByteString[] = [
  'from',
  'to',
  'cc',
  'subject',
  'date',
  'reply-to',
  'message-id',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
]
/** Signed where they are. Sender is not oversigned, nor is List-: mailing lists add them. */
const signedFields: ReadonlySet<ByteString> = new Set(['sender', 'in-reply-to', 'references'])

export interface SigningKey {
  /** Both in lower case. */
  readonly domain: ByteString
  readonly selector: ByteString
  readonly algorithm: Algorithm
  /** The signature of the text. */
  sign(text: ByteString): ByteString
}

export interface SigningFacts {
  /** Of the body after `relaxed`. */
  readonly bodySha256: ByteString
  /** Seconds since 1970. */
  readonly now: number
  /** Seconds for which it holds; longer than any queue keeps the message. Undefined: for ever. */
  readonly validFor: number | undefined
  readonly oversigned: readonly ByteString[]
}

/** The whole field with its line end, to stand above the header; undefined if the message has no From. */
export function signatureField(header: ByteString, key: SigningKey, facts: SigningFacts): ByteString | undefined {
  const fields = headerFields(header)
  const names = namesToSign(
    fields.map(({ name }) => name),
    facts.oversigned,
  )
  if (!fields.some(({ name }) => name === 'from')) return undefined
  const times = [`t=${facts.now};`, ...(facts.validFor === undefined ? [] : [`x=${facts.now + facts.validFor};`])]
  const parts = [
    ...['v=1;', `a=${key.algorithm};`, 'c=relaxed/relaxed;', `d=${key.domain};`, `s=${key.selector};`],
    ...times,
    ...names.map((name, at) => `${at === 0 ? 'h=' : ''}${name}${at === names.length - 1 ? ';' : ':'}`),
    `bh=${encodeBase64(facts.bodySha256)};`,
    'b=',
  ]
  const unsigned = folded(parts)
  const signature = { name: 'dkim-signature', raw: unsigned }
  const value = encodeBase64(key.sign(signedText(fields, names, signature, 'relaxed')))
  return `${unsigned}${value.replace(/.{1,72}/g, '\n\t$&')}\n`
}

function namesToSign(present: readonly ByteString[], oversigned: readonly ByteString[]): ByteString[] {
  const names = present.filter((name) => oversigned.includes(name) || isSigned(name))
  return [...names, ...oversigned]
}

function isSigned(name: ByteString): boolean {
  return signedFields.has(name) || ((name.startsWith('list-') || name.startsWith('resent-')) && name !== 'resent-bcc')
}

const lineColumnsMax = 76

/** A blank may stand before each part. */
function folded(parts: readonly ByteString[]): ByteString {
  const lines: ByteString[] = []
  let line = 'DKIM-Signature:'
  for (const part of parts) {
    if (line.length + 1 + part.length > lineColumnsMax) {
      lines.push(line)
      line = `\t${part}`
    } else line += ` ${part}`
  }
  return [...lines, line].join('\n')
}
