/** deliver: attempt + content → one status per recipient.
 *
 *  Deliverer to queue                               Queue to deliverer
 *    ready    capacity                                attempt  ref … sender recipients contentBytes content?
 *    report   ref statuses                            retired
 *    crowded  ref
 *    retire                                           content  ref bytes …
 *    fetch    ref messageId token asFile              contentEnd ref   |   contentFailed ref   |   contentFile ref head
 *
 *  lspawn only: queue → `resolve ref messageId recipient`; lspawn → `resolved ref uid key` or `unresolved ref status`.
 *
 *  A `local` that has a connection for descriptors (purpose `descriptors`, opened by lspawn, never read by the queue) may be
 *  given the body as an open file: the queue sends the descriptor there, with the ref in four bytes, and then `contentFile`,
 *  in the same order. Head and file are the content. Once for an attempt; a second `fetch` is answered in frames.
 *  A deliverer announces how many attempts it can hold and is pushed at most so many. Content of at most
 *  `attemptContentBytesMax` comes with the attempt; larger content is fetched with the attempt's token. `remote` fetches on a
 *  connection of its own (purpose `fetch`), so that a slow peer holds up no other attempt; a `local` on its only connection.
 *  An attempt whose connection ends before its report is a deferral.
 *  `crowded`: nothing was tried, because the host has its share of attempts; the same attempt comes again a little later.
 *  `retire` asks for no more attempts; after `retired` none comes, and the deliverer may close when its reports are out. A
 *  `local` that has found something to do meanwhile says `ready` again.
 *  A `local` also sends enqueue frames (its forwards) on its connection: the queue takes them as mail from its uid.
 *  The key names an assignment (home, dash, extension …) that lspawn has told that local directly: the queue cannot
 *  choose under which home or extension a user's mail is handled. */
import type { ByteString } from '../base/byte-string.ts'
import type { Status } from '../base/outcome.ts'
import { addressBytesMax, decodeParams, encodeParams, type Params, paramsBytesMax, recipientsMax } from './envelope.ts'
import { chunkBytesMax, headBytesMax, inlineBytesMax } from './enqueue.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import { readStatus, writeStatus } from './status.ts'

export const tokenBytes = 16
/** Of the queue's own Received line, which it puts on top of what came in. */
const receivedBytesMax = 1024
/** Content up to here comes with the attempt: a body that lives in a row, and a usual head. */
export const attemptContentBytesMax: number = inlineBytesMax + 16 * 1024

export interface Attempt {
  readonly ref: number
  readonly messageId: number
  /** Assignment key for local, 0 for remote. */
  readonly key: number
  readonly sender: ByteString
  readonly recipients: readonly ByteString[]
  readonly params: Params
  readonly contentBytes: number
  /** The whole content if small; undefined if it must be fetched with the token. */
  readonly content: Buffer | undefined
  readonly token: ByteString
}

const type = {
  ready: 32,
  report: 33,
  retire: 34,
  fetch: 35,
  resolved: 36,
  unresolved: 37,
  crowded: 38,
  attempt: 48,
  retired: 49,
  content: 50,
  contentEnd: 51,
  contentFailed: 52,
  resolve: 53,
  contentFile: 54,
} as const

export type FromDeliverer =
  | { readonly kind: 'ready'; readonly capacity: number }
  | { readonly kind: 'report'; readonly ref: number; readonly statuses: readonly Status[] }
  | { readonly kind: 'crowded'; readonly ref: number }
  | { readonly kind: 'retire' }
  | {
      readonly kind: 'fetch'
      readonly ref: number
      readonly messageId: number
      readonly token: ByteString
      /** The body may come as a descriptor; absent: in frames. */
      readonly asFile?: boolean
    }
  | { readonly kind: 'resolved'; readonly ref: number; readonly uid: number; readonly key: number }
  | { readonly kind: 'unresolved'; readonly ref: number; readonly status: Status }

export type ToDeliverer =
  | ({ readonly kind: 'attempt' } & Attempt)
  | { readonly kind: 'retired' }
  | { readonly kind: 'content'; readonly ref: number; readonly bytes: Buffer }
  | { readonly kind: 'contentEnd'; readonly ref: number }
  | { readonly kind: 'contentFailed'; readonly ref: number }
  | { readonly kind: 'contentFile'; readonly ref: number; readonly head: ByteString }
  | { readonly kind: 'resolve'; readonly ref: number; readonly messageId: number; readonly recipient: ByteString }

export function encodeFromDeliverer(message: FromDeliverer): Buffer {
  const fields = new FieldWriter()
  switch (message.kind) {
    case 'ready':
      fields.u16(message.capacity)
      break
    case 'report':
      fields.u32(message.ref).u16(message.statuses.length)
      for (const status of message.statuses) writeStatus(fields, status)
      break
    case 'crowded':
      fields.u32(message.ref)
      break
    case 'retire':
      break
    case 'fetch':
      fields
        .u32(message.ref)
        .u64(message.messageId)
        .string(message.token)
        .u8(message.asFile === true ? 1 : 0)
      break
    case 'resolved':
      fields.u32(message.ref).u32(message.uid).u32(message.key)
      break
    case 'unresolved':
      fields.u32(message.ref)
      writeStatus(fields, message.status)
      break
  }
  return encodeFrame(type[message.kind], ...fields.end())
}

/** Undefined for a frame type that is not this contract's. */
export function decodeFromDeliverer(frame: Frame): FromDeliverer | undefined {
  const fields = new FieldReader(frame.payload)
  const message = readFromDeliverer(frame.type, fields)
  if (message !== undefined) fields.end()
  return message
}

function readFromDeliverer(frameType: number, fields: FieldReader): FromDeliverer | undefined {
  switch (frameType) {
    case type.ready:
      return { kind: 'ready', capacity: fields.u16() }
    case type.report: {
      const ref = fields.u32()
      const count = fields.u16()
      const statuses: Status[] = []
      for (let n = 0; n < count; n++) statuses.push(readStatus(fields))
      return { kind: 'report', ref, statuses }
    }
    case type.crowded:
      return { kind: 'crowded', ref: fields.u32() }
    case type.retire:
      return { kind: 'retire' }
    case type.fetch:
      return {
        kind: 'fetch',
        ref: fields.u32(),
        messageId: fields.u64(),
        token: fields.string(tokenBytes),
        asFile: fields.u8() === 1,
      }
    case type.resolved:
      return { kind: 'resolved', ref: fields.u32(), uid: fields.u32(), key: fields.u32() }
    case type.unresolved:
      return { kind: 'unresolved', ref: fields.u32(), status: readStatus(fields) }
    default:
      return undefined
  }
}

export function encodeToDeliverer(message: ToDeliverer): Buffer {
  const fields = new FieldWriter()
  switch (message.kind) {
    case 'attempt':
      fields
        .u32(message.ref)
        .u64(message.messageId)
        .u32(message.key)
        .string(message.sender)
        .strings(message.recipients)
        .string(encodeParams(message.params))
        .u64(message.contentBytes)
        .string(message.token)
        .u8(message.content === undefined ? 0 : 1)
      if (message.content !== undefined) fields.rest(message.content)
      break
    case 'retired':
      break
    case 'contentEnd':
    case 'contentFailed':
      fields.u32(message.ref)
      break
    case 'content':
      fields.u32(message.ref).rest(message.bytes)
      break
    case 'contentFile':
      fields.u32(message.ref).string(message.head)
      break
    case 'resolve':
      fields.u32(message.ref).u64(message.messageId).string(message.recipient)
      break
  }
  return encodeFrame(type[message.kind], ...fields.end())
}

export function decodeToDeliverer(frame: Frame): ToDeliverer | undefined {
  const fields = new FieldReader(frame.payload)
  const message = readToDeliverer(frame.type, fields)
  if (message !== undefined) fields.end()
  return message
}

function readToDeliverer(frameType: number, fields: FieldReader): ToDeliverer | undefined {
  switch (frameType) {
    case type.attempt: {
      const ref = fields.u32()
      const messageId = fields.u64()
      const key = fields.u32()
      const sender = fields.string(2 * addressBytesMax)
      const recipients = fields.strings(recipientsMax, 2 * addressBytesMax)
      const params = decodeParams(fields.string(paramsBytesMax))
      const contentBytes = fields.u64()
      const token = fields.string(tokenBytes)
      const content = fields.u8() === 1 ? readContent(fields, attemptContentBytesMax) : undefined
      return { kind: 'attempt', ref, messageId, key, sender, recipients, params, contentBytes, token, content }
    }
    case type.retired:
      return { kind: 'retired' }
    case type.content:
      return { kind: 'content', ref: fields.u32(), bytes: readContent(fields, chunkBytesMax) }
    case type.contentEnd:
      return { kind: 'contentEnd', ref: fields.u32() }
    case type.contentFailed:
      return { kind: 'contentFailed', ref: fields.u32() }
    case type.contentFile:
      return { kind: 'contentFile', ref: fields.u32(), head: fields.string(2 * headBytesMax) }
    case type.resolve:
      return {
        kind: 'resolve',
        ref: fields.u32(),
        messageId: fields.u64(),
        recipient: fields.string(2 * addressBytesMax),
      }
    default:
      return undefined
  }
}

function readContent(fields: FieldReader, bytesMax: number): Buffer {
  const content = fields.rest()
  if (content.length > bytesMax + receivedBytesMax) throw new ContractError(`content of ${content.length} bytes`)
  return content
}
