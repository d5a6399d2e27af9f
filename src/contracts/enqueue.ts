/** enqueue: envelope + content → a committed message id, or a failure with one class.
 *
 *  Client to queue                                          Queue to client
 *    submit  ref params recipientFacts envelope content      accepted  ref id
 *    open    ref params recipientFacts envelope              refused   ref status
 *    chunk   ref bytes …
 *    close   ref contentBytes   |   abandon ref
 *
 *  A message of at most `inlineBytesMax` goes as one `submit`, any number at once on one connection. A larger one goes
 *  as open, chunks, close on a connection of its own, whose back-pressure is the socket's. `accepted` is sent only
 *  after message and envelope are committed. A connection that ends before `close` leaves nothing behind.
 *  Who is enqueuing (for `Received: (qmail N invoked …)`) follows from the socket, never from a frame. */
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import {
  decodeEnvelope,
  decodeParams,
  decodeRecipientFacts,
  encodeEnvelope,
  encodeParams,
  encodeRecipientFacts,
  type Envelope,
  envelopeBytesMax,
  type Params,
  paramsBytesMax,
  recipientsMax,
} from './envelope.ts'
import type { Failure } from '../base/outcome.ts'
import { fromText, toText } from '../base/byte-string.ts'
import { readStatus, writeStatus } from './status.ts'

/** Content up to here travels in one frame and lives in the queue's row. */
export const inlineBytesMax: number = 64 * 1024
export const chunkBytesMax: number = 64 * 1024

const type = { submit: 16, open: 17, chunk: 18, close: 19, abandon: 20, accepted: 24, refused: 25 } as const

export type EnqueueRequest =
  | {
      readonly kind: 'submit'
      readonly ref: number
      readonly params: Params
      readonly envelope: Envelope
      readonly content: Buffer
    }
  | { readonly kind: 'open'; readonly ref: number; readonly params: Params; readonly envelope: Envelope }
  | { readonly kind: 'chunk'; readonly ref: number; readonly bytes: Buffer }
  | { readonly kind: 'close'; readonly ref: number; readonly contentBytes: number }
  | { readonly kind: 'abandon'; readonly ref: number }

export type EnqueueReply =
  | { readonly kind: 'accepted'; readonly ref: number; readonly id: number }
  | { readonly kind: 'refused'; readonly ref: number; readonly failure: Failure }

export function encodeEnqueueRequest(request: EnqueueRequest): Buffer {
  const fields = new FieldWriter().u32(request.ref)
  switch (request.kind) {
    case 'submit':
    case 'open': {
      const envelope = encodeEnvelope(request.envelope)
      if (envelope.length > envelopeBytesMax) throw new ContractError(`envelope of ${envelope.length} bytes`)
      fields.string(encodeParams(request.params)).strings(encodeRecipientFacts(request.envelope))
      fields.u32(envelope.length).rest(envelope)
      if (request.kind === 'submit') fields.rest(request.content)
      break
    }
    case 'chunk':
      fields.rest(request.bytes)
      break
    case 'close':
      fields.u64(request.contentBytes)
      break
    case 'abandon':
      break
  }
  return encodeFrame(type[request.kind], ...fields.end())
}

/** Undefined for a frame type that is not this contract's. */
export function decodeEnqueueRequest(frame: Frame): EnqueueRequest | undefined {
  if (frame.type < type.submit || frame.type > type.abandon) return undefined
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  switch (frame.type) {
    case type.submit:
    case type.open: {
      const params = decodeParams(fields.string(paramsBytesMax))
      const facts = decodeRecipientFacts(fields.strings(3 * recipientsMax, paramsBytesMax))
      const envelopeBytes = fields.u32()
      const rest = fields.rest()
      if (envelopeBytes > envelopeBytesMax || envelopeBytes > rest.length) throw new ContractError('envelope too long')
      const envelope = { ...decodeEnvelope(rest.subarray(0, envelopeBytes)), ...facts }
      const content = rest.subarray(envelopeBytes)
      if (frame.type === type.submit) {
        if (content.length > inlineBytesMax) throw new ContractError(`submit with ${content.length} content bytes`)
        return { kind: 'submit', ref, params, envelope, content }
      }
      if (content.length > 0) throw new ContractError('open with content')
      return { kind: 'open', ref, params, envelope }
    }
    case type.chunk: {
      const bytes = fields.rest()
      if (bytes.length > chunkBytesMax) throw new ContractError(`chunk of ${bytes.length} bytes`)
      return { kind: 'chunk', ref, bytes }
    }
    case type.close: {
      const contentBytes = fields.u64()
      fields.end()
      return { kind: 'close', ref, contentBytes }
    }
    default:
      fields.end()
      return { kind: 'abandon', ref }
  }
}

export function encodeEnqueueReply(reply: EnqueueReply): Buffer {
  const fields = new FieldWriter().u32(reply.ref)
  if (reply.kind === 'accepted') fields.u64(reply.id)
  else {
    const { failure } = reply
    writeStatus(fields, { ...failure, peerText: fromText(failure.peerText), logText: fromText(failure.logText) })
  }
  return encodeFrame(type[reply.kind], ...fields.end())
}

export function decodeEnqueueReply(frame: Frame): EnqueueReply | undefined {
  if (frame.type !== type.accepted && frame.type !== type.refused) return undefined
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  if (frame.type === type.accepted) {
    const id = fields.u64()
    fields.end()
    return { kind: 'accepted', ref, id }
  }
  const status = readStatus(fields)
  fields.end()
  const [peerText, logText] = [toText(status.peerText), toText(status.logText)]
  return { kind: 'refused', ref, failure: { ...status, class: status.class === 5 ? 5 : 4, peerText, logText } }
}
