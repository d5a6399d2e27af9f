/** admin: the command line asks `queue` (run/queue-admin) and `start` (run/start): one JSON request a connection, then
 *  any number of JSON rows, then `end` or `error`. A row that is too long for a frame comes in parts, of which `row` is the
 *  last: a message may have ten thousand recipients. The number of rows is limited by the request. */
import { encodeFrame, ContractError, type Frame } from './frame.ts'

const type = { request: 96, row: 97, end: 98, error: 99, rowPart: 100 } as const
const requestBytesMax: number = 64 * 1024
/** Of a message that is in a request, before it is encoded in base64. */
export const requestMessageBytesMax: number = 1024 * 1024
/** Of a request that holds a message. */
export const messageRequestBytesMax: number = 1536 * 1024
const partBytes: number = 1024 * 1024
/** Of a whole row: the longest message, its recipients and what was said of each, and room for more. */
export const rowBytesMax: number = 64 * 1024 * 1024

export type AdminReply = { readonly kind: 'row'; readonly row: unknown } | LastReply
type LastReply = { readonly kind: 'end' } | { readonly kind: 'error'; readonly text: string }

export function encodeAdminRequest(request: object): Buffer {
  return encodeFrame(type.request, Buffer.from(JSON.stringify(request)))
}

/** The JSON value, unchecked: the reader validates its shape. */
export function decodeAdminRequest(frame: Frame, bytesMax: number = requestBytesMax): unknown {
  if (frame.type !== type.request) throw new ContractError(`frame type ${frame.type}, an admin request was expected`)
  if (frame.payload.length > bytesMax) throw new ContractError('admin request too long')
  return parse(frame.payload)
}

export function encodeAdminReply(reply: AdminReply): Buffer {
  if (reply.kind === 'row') return encodeRow(Buffer.from(JSON.stringify(reply.row)))
  if (reply.kind === 'error') return encodeFrame(type.error, Buffer.from(reply.text))
  return encodeFrame(type.end)
}

function encodeRow(json: Buffer): Buffer {
  const frames: Buffer[] = []
  let at = 0
  for (; json.length - at > partBytes; at += partBytes)
    frames.push(encodeFrame(type.rowPart, json.subarray(at, at + partBytes)))
  return Buffer.concat([...frames, encodeFrame(type.row, json.subarray(at))])
}

/** Reads one answer: the parts of a row are kept until the last has come. */
export class AdminReplyReader {
  private parts: Buffer[] = []
  private bytes = 0

  /** Undefined: the row goes on. Throws ContractError. */
  read(frame: Frame): AdminReply | undefined {
    if (frame.type !== type.row && frame.type !== type.rowPart) return decodeLast(frame)
    this.bytes += frame.payload.length
    if (this.bytes > rowBytesMax) throw new ContractError('row too long')
    this.parts.push(frame.payload)
    if (frame.type === type.rowPart) return undefined
    const row = parse(Buffer.concat(this.parts))
    this.parts = []
    this.bytes = 0
    return { kind: 'row', row }
  }
}

function decodeLast(frame: Frame): LastReply {
  if (frame.type === type.error) return { kind: 'error', text: frame.payload.toString('utf8') }
  if (frame.type === type.end) return { kind: 'end' }
  throw new ContractError(`frame type ${frame.type}, an admin reply was expected`)
}

function parse(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch {
    throw new ContractError('not JSON')
  }
}
