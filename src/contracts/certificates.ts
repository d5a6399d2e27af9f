/** certificates: acme asks start for a certificate request, and hands over the chain that an authority issued.
 *
 *  acme to start                         start to acme
 *    ask      ref without                  request    ref names optional request certificate
 *    install  ref chain                    installed  ref
 *                                          refused    ref why
 *
 *  `optional`: names that the certificate can do without; acme asks `without` those that do not lead to this host.
 *  `request` is PKCS #10 in DER, made with the key in HOME/tls, which only start reads; `names` are those in it.
 *  `certificate` is the one installed before in this way, in PEM; empty: none, or a self-signed one. start installs a chain
 *  only if it belongs to the key, has all names and is valid: acme, which talks to the network, can neither see a key nor
 *  replace a good certificate by a bad one. */
import { type ByteString, fromBuffer, fromText, toBuffer, toText } from '../base/byte-string.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'

const type = { ask: 200, install: 201, request: 204, installed: 205, refused: 206 } as const

/** A chain in PEM. */
export const chainBytesMax: number = 64 * 1024
/** Of one certificate; authorities accept that many. */
export const certifiedNamesMax = 100
const nameBytesMax = 255
const requestBytesMax: number = 64 * 1024
const whyBytesMax = 1024

export type CertificateQuestion =
  | { readonly kind: 'ask'; readonly ref: number; readonly without: readonly string[] }
  | { readonly kind: 'install'; readonly ref: number; readonly chainPem: string }

export type CertificateAnswer =
  | ({ readonly kind: 'request'; readonly ref: number } & CertificateRequest)
  | { readonly kind: 'installed'; readonly ref: number }
  | { readonly kind: 'refused'; readonly ref: number; readonly why: string }

export interface CertificateRequest {
  /** In lower case. */
  readonly names: readonly string[]
  /** Some of `names`. */
  readonly optional: readonly string[]
  readonly request: Buffer
  /** Undefined: no authority has issued one. */
  readonly certificatePem: string | undefined
}

export function encodeCertificateQuestion(question: CertificateQuestion): Buffer {
  const fields = new FieldWriter().u32(question.ref)
  if (question.kind === 'ask') fields.strings(question.without)
  else fields.string(fromText(question.chainPem))
  return encodeFrame(type[question.kind], ...fields.end())
}

export function decodeCertificateQuestion(frame: Frame): CertificateQuestion {
  if (frame.type !== type.ask && frame.type !== type.install)
    throw new ContractError(`frame type ${frame.type}, a question about certificates was expected`)
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  const question: CertificateQuestion =
    frame.type === type.ask
      ? { kind: 'ask', ref, without: fields.strings(certifiedNamesMax, nameBytesMax) }
      : { kind: 'install', ref, chainPem: toText(fields.string(chainBytesMax)) }
  fields.end()
  return question
}

export function encodeCertificateAnswer(answer: CertificateAnswer): Buffer {
  const fields = new FieldWriter().u32(answer.ref)
  if (answer.kind === 'refused') fields.string(cut(answer.why))
  if (answer.kind === 'request')
    fields
      .strings(answer.names)
      .strings(answer.optional)
      .string(fromBuffer(answer.request))
      .string(fromText(answer.certificatePem ?? ''))
  return encodeFrame(type[answer.kind], ...fields.end())
}

export function decodeCertificateAnswer(frame: Frame): CertificateAnswer {
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  const answer = readAnswer(frame.type, ref, fields)
  fields.end()
  return answer
}

function readAnswer(frameType: number, ref: number, fields: FieldReader): CertificateAnswer {
  if (frameType === type.installed) return { kind: 'installed', ref }
  if (frameType === type.refused) return { kind: 'refused', ref, why: toText(fields.string(whyBytesMax)) }
  if (frameType !== type.request)
    throw new ContractError(`frame type ${frameType}, an answer about certificates was expected`)
  const names = fields.strings(certifiedNamesMax, nameBytesMax)
  const optional = fields.strings(certifiedNamesMax, nameBytesMax)
  const request = toBuffer(fields.string(requestBytesMax))
  const certificatePem = toText(fields.string(chainBytesMax))
  const certificate = certificatePem === '' ? undefined : certificatePem
  return { kind: 'request', ref, names, optional, request, certificatePem: certificate }
}

function cut(text: string): ByteString {
  return fromText(text).slice(0, whyBytesMax)
}
