/** auth: `login` asks `authd` to authenticate a client.
 *
 *    login to authd                          authd to login
 *                                              serving    mechanisms …
 *      begin    ref mechanism initial? peer    challenge  ref data
 *      respond  ref data                       accepted   ref account ticket
 *      cancel   ref                            rejected   ref why
 *
 *  Any number of exchanges at once on one connection. Data is SASL's (RFC 4422), without the base64 of a protocol.
 *  `authd` keeps the state of an exchange; it ends with `accepted`, `rejected` or `cancel`, or when its time is up.
 *  `accepted` is said only after lspawn has been told of the ticket (contracts/sessions.ts): the front presents it there,
 *  once, and owns nothing else. */
import type { ByteString } from '../base/byte-string.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import { accountBytesMax, readPeer, type SessionPeer, ticketBytes, writePeer } from './sessions.ts'

/** RFC 4954 §4: a line of base64 has up to 12288 bytes. */
export const saslDataBytesMax: number = 9 * 1024
const mechanismBytesMax = 20
const mechanismsMax = 16
const bindingBytesMax = 64

const type = {
  begin: 160,
  respond: 161,
  cancel: 162,
  serving: 168,
  challenge: 169,
  accepted: 170,
  rejected: 171,
} as const

/** `credentials`: name or password wrong, or no such account, or disabled: one answer for all of these.
 *  `malformed`: not what the mechanism says. `mechanism`: not offered. `locked`: too many failures, come back later.
 *  `temporary`: authd could not find out. */
export const rejections = ['credentials', 'malformed', 'mechanism', 'locked', 'temporary'] as const
export type Rejection = (typeof rejections)[number]

/** What the TLS connection under the exchange can be bound to (RFC 5929, 9266); one that it lacks is absent. */
export type ChannelBindings = ReadonlyMap<BindingName, ByteString>
const bindingNames = ['tls-exporter', 'tls-unique', 'tls-server-end-point'] as const
export type BindingName = (typeof bindingNames)[number]

export type AuthRequest =
  | {
      readonly kind: 'begin'
      readonly ref: number
      readonly mechanism: string
      /** Undefined: none; empty: sent, and empty (`=`). */
      readonly initial: ByteString | undefined
      readonly peer: SessionPeer
      readonly bindings: ChannelBindings
    }
  | { readonly kind: 'respond'; readonly ref: number; readonly data: ByteString }
  | { readonly kind: 'cancel'; readonly ref: number }

export type AuthReply =
  /** In the order in which they are to be offered. */
  | { readonly kind: 'serving'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'challenge'; readonly ref: number; readonly data: ByteString }
  | { readonly kind: 'accepted'; readonly ref: number; readonly account: ByteString; readonly ticket: ByteString }
  | { readonly kind: 'rejected'; readonly ref: number; readonly why: Rejection }

export function encodeAuthRequest(request: AuthRequest): Buffer {
  const fields = new FieldWriter().u32(request.ref)
  if (request.kind === 'begin') {
    fields.string(request.mechanism).u8(request.initial === undefined ? 0 : 1)
    fields.string(request.initial ?? '')
    writePeer(fields, request.peer)
    for (const name of bindingNames) fields.string(request.bindings.get(name) ?? '')
  } else if (request.kind === 'respond') fields.string(request.data)
  return encodeFrame(type[request.kind], ...fields.end())
}

/** Throws ContractError for anything that is not a request of this contract. */
export function decodeAuthRequest(frame: Frame): AuthRequest {
  const fields = new FieldReader(frame.payload)
  const request = readRequest(frame.type, fields)
  fields.end()
  return request
}

function readRequest(frameType: number, fields: FieldReader): AuthRequest {
  const ref = fields.u32()
  switch (frameType) {
    case type.begin: {
      const mechanism = fields.string(mechanismBytesMax)
      const hasInitial = fields.u8() === 1
      const data = fields.string(saslDataBytesMax)
      const peer = readPeer(fields)
      const bindings = new Map<BindingName, ByteString>()
      for (const name of bindingNames) {
        const value = fields.string(bindingBytesMax)
        if (value !== '') bindings.set(name, value)
      }
      return { kind: 'begin', ref, mechanism, initial: hasInitial ? data : undefined, peer, bindings }
    }
    case type.respond:
      return { kind: 'respond', ref, data: fields.string(saslDataBytesMax) }
    case type.cancel:
      return { kind: 'cancel', ref }
    default:
      throw new ContractError(`frame type ${frameType}, an auth request was expected`)
  }
}

export function encodeAuthReply(reply: AuthReply): Buffer {
  const fields = new FieldWriter()
  if (reply.kind === 'serving') return encodeFrame(type.serving, ...fields.strings(reply.mechanisms).end())
  fields.u32(reply.ref)
  if (reply.kind === 'challenge') fields.string(reply.data)
  else if (reply.kind === 'accepted') fields.string(reply.account).string(reply.ticket)
  else fields.u8(rejections.indexOf(reply.why))
  return encodeFrame(type[reply.kind], ...fields.end())
}

/** Throws ContractError for anything that is not a reply of this contract. */
export function decodeAuthReply(frame: Frame): AuthReply {
  const fields = new FieldReader(frame.payload)
  const reply = readReply(frame.type, fields)
  fields.end()
  return reply
}

function readReply(frameType: number, fields: FieldReader): AuthReply {
  if (frameType === type.serving)
    return { kind: 'serving', mechanisms: fields.strings(mechanismsMax, mechanismBytesMax) }
  const ref = fields.u32()
  switch (frameType) {
    case type.challenge:
      return { kind: 'challenge', ref, data: fields.string(saslDataBytesMax) }
    case type.accepted: {
      const account = fields.string(accountBytesMax)
      return { kind: 'accepted', ref, account, ticket: fields.string(ticketBytes) }
    }
    case type.rejected: {
      const why = rejections[fields.u8()]
      if (why === undefined) throw new ContractError('unknown rejection')
      return { kind: 'rejected', ref, why }
    }
    default:
      throw new ContractError(`frame type ${frameType}, an auth reply was expected`)
  }
}
