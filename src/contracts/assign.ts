/** assign: what lspawn tells a `local` over its descriptor 5: who the user is, what each key stands for, and which sessions it
 *  may open, and has to end (contracts/sessions.ts). The local says only `alive`: once when it serves, and to each ping.
 *  The local lives as long as this connection: at end of file it finishes its deliveries and exits. */
import type { LoginService } from './services.ts'
import type { ByteString } from '../base/byte-string.ts'
import { addressBytesMax } from './envelope.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import {
  accountBytesMax,
  readPeer,
  readService,
  type SessionPeer,
  ticketBytes,
  writePeer,
  writeService,
} from './sessions.ts'

const type = {
  assignment: 80,
  retire: 81,
  session: 82,
  revoke: 83,
  close: 84,
  forget: 85,
  ping: 86,
  alive: 87,
} as const
/** Of a frame from a `local`: it belongs to its user. */
export const fromLocalBytesMax = 16
const nameBytesMax = 4096

/** The arguments of qmail-local that follow from the recipient address alone. */
export interface Assignment {
  readonly key: number
  readonly user: ByteString
  readonly home: ByteString
  /** Mailbox name: all before the last `@`. */
  readonly local: ByteString
  /** `-`, or empty, or what users/assign says; `+` for a tag that was split off at a plus sign. */
  readonly dash: ByteString
  readonly ext: ByteString
  readonly domain: ByteString
  /** The default delivery instruction, `./Maildir/` or what the site says. */
  readonly defaultDelivery: ByteString
}

/** The session that a token opens, once and within half a minute. */
export interface SessionGrant {
  readonly token: ByteString
  /** The name that the client logged in with. */
  readonly account: ByteString
  readonly user: ByteString
  readonly home: ByteString
  readonly peer: SessionPeer
}

export type ToLocal =
  | ({ readonly kind: 'assignment' } & Assignment)
  | ({ readonly kind: 'session' } & SessionGrant)
  /** Ends the sessions of an account, also those granted but not begun. */
  | { readonly kind: 'revoke'; readonly account: ByteString }
  /** Ends the sessions of a service. */
  | { readonly kind: 'close'; readonly service: LoginService }
  /** The local is to exit once it has no sessions and no deliveries; until then it works as before. */
  | { readonly kind: 'retire' }
  /** No attempt will name this key any more. */
  | { readonly kind: 'forget'; readonly key: number }
  | { readonly kind: 'ping' }

export function encodeToLocal(message: ToLocal): Buffer {
  const fields = new FieldWriter()
  if (message.kind === 'assignment') {
    fields.u32(message.key).string(message.user).string(message.home).string(message.local)
    fields.string(message.dash).string(message.ext).string(message.domain).string(message.defaultDelivery)
  } else if (message.kind === 'session') {
    fields.string(message.token).string(message.account).string(message.user).string(message.home)
    writePeer(fields, message.peer)
  } else if (message.kind === 'revoke') fields.string(message.account)
  else if (message.kind === 'close') writeService(fields, message.service)
  else if (message.kind === 'forget') fields.u32(message.key)
  return encodeFrame(type[message.kind], ...fields.end())
}

export function decodeToLocal(frame: Frame): ToLocal | undefined {
  const read = readers.get(frame.type)
  if (read === undefined) return undefined
  const fields = new FieldReader(frame.payload)
  const message = read(fields)
  fields.end()
  return message
}

const readers: ReadonlyMap<number, (fields: FieldReader) => ToLocal> = new Map([
  [type.assignment, readAssignment],
  [type.session, readSession],
  [type.revoke, (fields: FieldReader): ToLocal => ({ kind: 'revoke', account: fields.string(accountBytesMax) })],
  [type.close, (fields: FieldReader): ToLocal => ({ kind: 'close', service: readService(fields) })],
  [type.forget, (fields: FieldReader): ToLocal => ({ kind: 'forget', key: fields.u32() })],
  [type.retire, (): ToLocal => ({ kind: 'retire' })],
  [type.ping, (): ToLocal => ({ kind: 'ping' })],
])

export function encodeAlive(): Buffer {
  return encodeFrame(type.alive)
}

/** Throws ContractError for anything else: a `local` may say nothing but `alive`. */
export function checkAlive(frame: Frame): void {
  if (frame.type !== type.alive || frame.payload.length > 0) throw new ContractError(`frame type ${frame.type}`)
}

function readSession(fields: FieldReader): ToLocal {
  return {
    kind: 'session',
    token: fields.string(ticketBytes),
    account: fields.string(accountBytesMax),
    user: fields.string(nameBytesMax),
    home: fields.string(nameBytesMax),
    peer: readPeer(fields),
  }
}

function readAssignment(fields: FieldReader): ToLocal {
  return {
    kind: 'assignment',
    key: fields.u32(),
    user: fields.string(nameBytesMax),
    home: fields.string(nameBytesMax),
    local: fields.string(2 * addressBytesMax),
    dash: fields.string(nameBytesMax),
    ext: fields.string(2 * addressBytesMax),
    domain: fields.string(2 * addressBytesMax),
    defaultDelivery: fields.string(nameBytesMax),
  }
}
