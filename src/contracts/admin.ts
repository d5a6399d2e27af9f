/** admin: the command line asks `queue` (run/queue-admin) and `start` (run/start): one JSON request a connection, then
 *  any number of JSON rows, then `end` or `error`. Rows are limited by the frame; the number of rows by the request. */
import { encodeFrame, ContractError, type Frame } from './frame.ts'

const type = { request: 96, row: 97, end: 98, error: 99 } as const
const requestBytesMax: number = 64 * 1024

export type AdminReply =
  | { readonly kind: 'row'; readonly row: unknown }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly text: string }

export function encodeAdminRequest(request: object): Buffer {
  return encodeFrame(type.request, Buffer.from(JSON.stringify(request)))
}

/** The JSON value, unchecked: the reader validates its shape. */
export function decodeAdminRequest(frame: Frame): unknown {
  if (frame.type !== type.request) throw new ContractError(`frame type ${frame.type}, an admin request was expected`)
  if (frame.payload.length > requestBytesMax) throw new ContractError('admin request too long')
  return parse(frame.payload)
}

export function encodeAdminReply(reply: AdminReply): Buffer {
  if (reply.kind === 'row') return encodeFrame(type.row, Buffer.from(JSON.stringify(reply.row)))
  if (reply.kind === 'error') return encodeFrame(type.error, Buffer.from(reply.text))
  return encodeFrame(type.end)
}

export function decodeAdminReply(frame: Frame): AdminReply {
  if (frame.type === type.row) return { kind: 'row', row: parse(frame.payload) }
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
