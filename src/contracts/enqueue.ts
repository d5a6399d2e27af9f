/** enqueue: envelope + content → a committed message id, or a failure with one class.
 *
 *  Client to queue                                          Queue to client
 *    submit  ref params recipientFacts envelope head body    accepted  ref id
 *    open    ref params recipientFacts asFile envelope       refused   ref status
 *                                                            file ref   |   frames ref
 *    chunk   ref bytes …
 *    close   ref bodyBytes head lateParams   |   abandon ref
 *    check   ref sender recipient                            accepted ref 0   |   refused
 *
 *  Content has two parts, and the first is sent last. The *body* is what the sender wrote, its own header included. The
 *  *head* is the header lines that programs on the message's way put on top (trace, results, signatures): some are known only
 *  after the last byte. A reader of the message sees head + body. Parameters that are known only then come with `close`, in
 *  addition to those of `open`.
 *
 *  A body of at most `inlineBytesMax` goes as one `submit`, any number at once on one connection. A larger one goes
 *  as open, chunks, close on a connection of its own, whose back-pressure is the socket's. `accepted` is sent only
 *  after message and envelope are committed. A connection that ends before `close` leaves nothing behind.
 *  A client that also has a connection for descriptors (purpose `descriptors`) may ask with `open` for the body's file. The
 *  queue answers `file` after it has sent the file's descriptor there, with the ref in four bytes: the client writes the body
 *  into it, and nothing has it open for writing when `close` comes. Or it answers `frames`: chunks, as usual.
 *  `check` asks before there is content whether the queue would take mail from that sender for that recipient; 0: no message.
 *  The client's identity (for `Received: (qmail N invoked …)`) follows from the socket, never from a frame. */
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import {
  addressBytesMax,
  decodeEnvelope,
  decodeParams,
  decodeRecipientFacts,
  encodeEnvelope,
  encodeParams,
  encodeRecipientFacts,
  type Envelope,
  envelopeBytesMax,
  lateParamsMax,
  type Params,
  paramsBytesMax,
  paramsMax,
  recipientsMax,
} from './envelope.ts'
import type { Failure } from '../base/outcome.ts'
import { type ByteString, fromText, toText } from '../base/byte-string.ts'
import { readStatus, writeStatus } from './status.ts'

/** A body up to here travels in one frame and lives in the queue's row. */
export const inlineBytesMax: number = 64 * 1024
export const chunkBytesMax: number = 64 * 1024
/** Of whole header lines. Plug-ins may add 64 KiB of them. */
export const headBytesMax: number = 128 * 1024

const type = {
  submit: 16,
  open: 17,
  chunk: 18,
  close: 19,
  abandon: 20,
  check: 21,
  accepted: 24,
  refused: 25,
  file: 26,
  frames: 27,
} as const

export type EnqueueRequest =
  | {
      readonly kind: 'submit'
      readonly ref: number
      readonly params: Params
      readonly envelope: Envelope
      readonly head: ByteString
      /** In pieces; a decoded body is one piece. */
      readonly body: readonly Buffer[]
    }
  | {
      readonly kind: 'open'
      readonly ref: number
      readonly params: Params
      readonly envelope: Envelope
      /** The client can write into a file that it is given; absent: it cannot. */
      readonly asFile?: boolean
    }
  | { readonly kind: 'chunk'; readonly ref: number; readonly bytes: Buffer }
  | {
      readonly kind: 'close'
      readonly ref: number
      readonly bodyBytes: number
      readonly head: ByteString
      readonly late: Params
    }
  | { readonly kind: 'abandon'; readonly ref: number }
  | { readonly kind: 'check'; readonly ref: number; readonly sender: ByteString; readonly recipient: ByteString }

export type EnqueueReply =
  | { readonly kind: 'accepted'; readonly ref: number; readonly id: number }
  | { readonly kind: 'refused'; readonly ref: number; readonly failure: Failure }
  /** Where the body goes. */
  | { readonly kind: 'file' | 'frames'; readonly ref: number }

export function encodeEnqueueRequest(request: EnqueueRequest): Buffer {
  const fields = new FieldWriter().u32(request.ref)
  switch (request.kind) {
    case 'submit':
    case 'open': {
      const envelope = encodeEnvelope(request.envelope)
      if (envelope.length > envelopeBytesMax) throw new ContractError(`envelope of ${envelope.length} bytes`)
      fields.string(encodeParams(request.params)).strings(encodeRecipientFacts(request.envelope))
      if (request.kind === 'submit') fields.string(request.head)
      else fields.u8(request.asFile === true ? 1 : 0)
      fields.u32(envelope.length).rest(envelope)
      if (request.kind === 'submit') for (const piece of request.body) fields.rest(piece)
      break
    }
    case 'chunk':
      fields.rest(request.bytes)
      break
    case 'close':
      fields.u64(request.bodyBytes).string(request.head).string(encodeParams(request.late))
      break
    case 'abandon':
      break
    case 'check':
      fields.string(request.sender).string(request.recipient)
      break
  }
  return encodeFrame(type[request.kind], ...fields.end())
}

/** Undefined for a frame type that is not this contract's. */
export function decodeEnqueueRequest(frame: Frame): EnqueueRequest | undefined {
  if (frame.type < type.submit || frame.type > type.check) return undefined
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  switch (frame.type) {
    case type.submit:
    case type.open: {
      const params = decodeParams(
        fields.string(paramsBytesMax),
        frame.type === type.open ? paramsMax - lateParamsMax : paramsMax,
      )
      const facts = decodeRecipientFacts(fields.strings(3 * recipientsMax, paramsBytesMax))
      const head = frame.type === type.submit ? fields.string(headBytesMax) : ''
      const asFile = frame.type === type.open && fields.u8() === 1
      const envelopeBytes = fields.u32()
      const rest = fields.rest()
      if (envelopeBytes > envelopeBytesMax || envelopeBytes > rest.length) throw new ContractError('envelope too long')
      const envelope = { ...decodeEnvelope(rest.subarray(0, envelopeBytes)), ...facts }
      const body = rest.subarray(envelopeBytes)
      if (frame.type === type.submit) {
        if (body.length > inlineBytesMax) throw new ContractError(`submit with a body of ${body.length} bytes`)
        return { kind: 'submit', ref, params, envelope, head, body: [body] }
      }
      if (body.length > 0) throw new ContractError('open with a body')
      return { kind: 'open', ref, params, envelope, asFile }
    }
    case type.chunk: {
      const bytes = fields.rest()
      if (bytes.length > chunkBytesMax) throw new ContractError(`chunk of ${bytes.length} bytes`)
      return { kind: 'chunk', ref, bytes }
    }
    case type.close: {
      const bodyBytes = fields.u64()
      const head = fields.string(headBytesMax)
      const late = decodeParams(fields.string(paramsBytesMax), lateParamsMax)
      fields.end()
      return { kind: 'close', ref, bodyBytes, head, late }
    }
    case type.check: {
      const [sender, recipient] = [fields.string(addressBytesMax), fields.string(addressBytesMax)]
      fields.end()
      return { kind: 'check', ref, sender, recipient }
    }
    default:
      fields.end()
      return { kind: 'abandon', ref }
  }
}

export function encodeEnqueueReply(reply: EnqueueReply): Buffer {
  const fields = new FieldWriter().u32(reply.ref)
  if (reply.kind === 'accepted') fields.u64(reply.id)
  else if (reply.kind === 'refused') {
    const { failure } = reply
    writeStatus(fields, { ...failure, peerText: fromText(failure.peerText), logText: fromText(failure.logText) })
  }
  return encodeFrame(type[reply.kind], ...fields.end())
}

export function decodeEnqueueReply(frame: Frame): EnqueueReply | undefined {
  if (frame.type < type.accepted || frame.type > type.frames) return undefined
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  if (frame.type === type.file || frame.type === type.frames) {
    fields.end()
    return { kind: frame.type === type.file ? 'file' : 'frames', ref }
  }
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
