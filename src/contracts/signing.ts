/** signing: queue asks signer for the DKIM-Signature of a message that it is about to commit.
 *
 *  queue to signer                                signer to queue
 *    sign  ref uid isOurs bodySha256 header         signed    ref fields      whole lines, to stand above the header
 *                                                   unsigned  ref why         nothing to sign with, or not for this uid
 *                                                   failed    ref why         a key is configured and cannot be used now
 *
 *  `uid` is who handed the message in, as the kernel told queue; `isOurs`: queue or its network side vouches for it (a
 *  bounce, a client that may relay). `header` as it will be sent, without the empty line; `bodySha256` of the body after
 *  `relaxed`. The signer never sees a body, the queue never sees a key. */
import type { ByteString } from '../base/byte-string.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'

const type = { sign: 160, signed: 164, unsigned: 165, failed: 166 } as const

/** A message with a longer header is not signed. */
export const signedHeaderBytesMax: number = 128 * 1024
const fieldsBytesMax: number = 16 * 1024
const whyBytesMax = 1024

export interface SignQuestion {
  readonly ref: number
  readonly uid: number
  readonly isOurs: boolean
  readonly bodySha256: ByteString
  readonly header: ByteString
}

export type SignAnswer =
  | { readonly kind: 'signed'; readonly ref: number; readonly fields: ByteString }
  | { readonly kind: 'unsigned' | 'failed'; readonly ref: number; readonly why: ByteString }

export function encodeSignQuestion({ ref, uid, isOurs, bodySha256, header }: SignQuestion): Buffer {
  const fields = new FieldWriter()
    .u32(ref)
    .u32(uid)
    .u8(isOurs ? 1 : 0)
  return encodeFrame(type.sign, ...fields.string(bodySha256).string(header).end())
}

export function decodeSignQuestion(frame: Frame): SignQuestion {
  if (frame.type !== type.sign) throw new ContractError(`frame type ${frame.type}, a question to sign was expected`)
  const fields = new FieldReader(frame.payload)
  const [ref, uid, isOurs] = [fields.u32(), fields.u32(), fields.u8() === 1]
  const question = { ref, uid, isOurs, bodySha256: fields.string(32), header: fields.string(signedHeaderBytesMax) }
  fields.end()
  return question
}

export function encodeSignAnswer(answer: SignAnswer): Buffer {
  const text = answer.kind === 'signed' ? answer.fields : answer.why.slice(0, whyBytesMax)
  return encodeFrame(type[answer.kind], ...new FieldWriter().u32(answer.ref).string(text).end())
}

export function decodeSignAnswer(frame: Frame): SignAnswer {
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  const text = fields.string(frame.type === type.signed ? fieldsBytesMax : whyBytesMax)
  fields.end()
  if (frame.type === type.signed) return { kind: 'signed', ref, fields: text }
  if (frame.type === type.unsigned) return { kind: 'unsigned', ref, why: text }
  if (frame.type === type.failed) return { kind: 'failed', ref, why: text }
  throw new ContractError(`frame type ${frame.type}, an answer of the signer was expected`)
}
