/** sessions: how a login becomes a session in the user's own `local`.
 *
 *    authd to lspawn (run/lspawn-tickets)            lspawn to authd
 *      admit  ref ticket account peer                  admitted  ref account
 *      check  ref ticket name password peer            denied    ref why
 *      revoke account
 *    login to lspawn (run/lspawn-login)              lspawn to login
 *      open   ref ticket peer                          opened    ref path token
 *      closing service                                 refused   ref why
 *    lspawn to local: `session` (contracts/assign.ts): the token, and whose session it is
 *    login to local (the path it was told): hello, then
 *      start  token facts
 *    and from then on bytes of the protocol, both ways and in clear. The local speaks first, and the front sends nothing
 *    before it has: `235 …` or `+OK …` to the login, or a refusal.
 *
 *  A ticket is one use, of one service from one address and port, for half a minute. What a session is and may do follows
 *  from what authd told lspawn; a front can only present tickets. `check` asks lspawn to run the checkpassword program
 *  of control/checkpassword; the uid it becomes is the session's, and `admitted` names its account. `revoke`: logins of the
 *  account are no longer valid; its tickets are void, and every local is told to end its sessions. `closing`:
 *  the front of a service stops, and so its sessions are ended in the same way. */
import { loginServices, type LoginService } from './services.ts'
import { type ByteString, fromText, toText } from '../base/byte-string.ts'
import { choice, FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'

export const ticketBytes = 32
/** An address, or the name of a system user. */
export const accountBytesMax = 512
/** qmail's checkpassword reads 512 bytes: name, password and timestamp, each with its NUL. */
export const passwordBytesMax = 512
const addressTextBytesMax = 64
const pathBytesMax = 128
const factBytesMax = 1024
const [tab, space, del] = [0x09, 0x20, 0x7f] as const

/** The client, and the service it connected to. */
export interface SessionPeer {
  readonly service: LoginService
  readonly remoteIp: string
  readonly remotePort: number
}

/** What the front knows of the connection; it decides nothing. */
export interface SessionFacts {
  /** The name that leads back to the client, where the front has asked for it; else empty. */
  readonly remoteHost: string
  readonly localIp: string
  readonly localPort: number
  /** As Node names them: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`. */
  readonly tlsProtocol: string
  readonly tlsCipher: string
  /** Submission: the name the client gave, and whether by EHLO. */
  readonly helo: ByteString
  readonly extended: boolean
}

/** `failed`: a wrong name or password. */
export const denials = ['failed', 'temporary'] as const
export type Denial = (typeof denials)[number]

/** `unknown`: no such ticket, or it is another peer's. `no-mailbox`: the account has none here. `busy`: it has too many
 *  sessions. `temporary`: its process cannot be started or reached. */
export const refusals = ['unknown', 'no-mailbox', 'busy', 'temporary'] as const
export type Refusal = (typeof refusals)[number]

export type TicketRequest =
  | {
      readonly kind: 'admit'
      readonly ref: number
      readonly ticket: ByteString
      readonly account: ByteString
      readonly peer: SessionPeer
    }
  | {
      readonly kind: 'check'
      readonly ref: number
      readonly ticket: ByteString
      readonly name: ByteString
      readonly password: ByteString
      readonly peer: SessionPeer
    }
  | { readonly kind: 'revoke'; readonly account: ByteString }

export type TicketReply =
  | { readonly kind: 'admitted'; readonly ref: number; readonly account: ByteString }
  | { readonly kind: 'denied'; readonly ref: number; readonly why: Denial }

export interface OpenRequest {
  readonly ref: number
  readonly ticket: ByteString
  readonly peer: SessionPeer
}

export type LoginRequest =
  | ({ readonly kind: 'open' } & OpenRequest)
  | { readonly kind: 'closing'; readonly service: LoginService }

export type OpenReply =
  | { readonly kind: 'opened'; readonly ref: number; readonly path: string; readonly token: ByteString }
  | { readonly kind: 'refused'; readonly ref: number; readonly why: Refusal }

export interface SessionStart {
  readonly token: ByteString
  readonly facts: SessionFacts
}

const type = {
  admit: 176,
  check: 177,
  admitted: 178,
  denied: 179,
  revoke: 180,
  open: 184,
  opened: 185,
  refused: 186,
  closing: 187,
  start: 192,
} as const

export function writeService(fields: FieldWriter, service: LoginService): FieldWriter {
  return fields.u8(loginServices.indexOf(service))
}

export function readService(fields: FieldReader): LoginService {
  return choice(fields, loginServices)
}

export function writePeer(fields: FieldWriter, { service, remoteIp, remotePort }: SessionPeer): void {
  writeService(fields, service).string(remoteIp).u16(remotePort)
}

export function readPeer(fields: FieldReader): SessionPeer {
  return {
    service: readService(fields),
    remoteIp: plainText(fields, addressTextBytesMax),
    remotePort: fields.u16(),
  }
}

export function samePeer(a: SessionPeer, b: SessionPeer): boolean {
  return a.service === b.service && a.remoteIp === b.remoteIp && a.remotePort === b.remotePort
}

export function encodeTicketRequest(request: TicketRequest): Buffer {
  if (request.kind === 'revoke') return encodeFrame(type.revoke, ...new FieldWriter().string(request.account).end())
  const fields = new FieldWriter().u32(request.ref).string(request.ticket)
  if (request.kind === 'admit') fields.string(request.account)
  else fields.string(request.name).string(request.password)
  writePeer(fields, request.peer)
  return encodeFrame(type[request.kind], ...fields.end())
}

/** Throws ContractError for anything that is not a request of this contract. */
export function decodeTicketRequest(frame: Frame): TicketRequest {
  const fields = new FieldReader(frame.payload)
  const request = readTicketRequest(frame.type, fields)
  fields.end()
  return request
}

function readTicketRequest(frameType: number, fields: FieldReader): TicketRequest {
  if (frameType === type.revoke) return { kind: 'revoke', account: fields.string(accountBytesMax) }
  const ref = fields.u32()
  const ticket = exactly(fields.string(ticketBytes))
  if (frameType === type.admit) {
    const account = fields.string(accountBytesMax)
    return { kind: 'admit', ref, ticket, account, peer: readPeer(fields) }
  }
  if (frameType !== type.check) throw new ContractError(`frame type ${frameType}, a ticket request was expected`)
  const name = fields.string(accountBytesMax)
  const password = fields.string(passwordBytesMax)
  return { kind: 'check', ref, ticket, name, password, peer: readPeer(fields) }
}

export function encodeTicketReply(reply: TicketReply): Buffer {
  const fields = new FieldWriter().u32(reply.ref)
  if (reply.kind === 'admitted') fields.string(reply.account)
  else fields.u8(denials.indexOf(reply.why))
  return encodeFrame(type[reply.kind], ...fields.end())
}

export function decodeTicketReply(frame: Frame): TicketReply {
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  let reply: TicketReply
  if (frame.type === type.admitted) reply = { kind: 'admitted', ref, account: fields.string(accountBytesMax) }
  else if (frame.type === type.denied) reply = { kind: 'denied', ref, why: choice(fields, denials) }
  else throw new ContractError(`frame type ${frame.type}, a ticket reply was expected`)
  fields.end()
  return reply
}

export function encodeLoginRequest(request: LoginRequest): Buffer {
  const fields = new FieldWriter()
  if (request.kind === 'closing') writeService(fields, request.service)
  else writePeer(fields.u32(request.ref).string(request.ticket), request.peer)
  return encodeFrame(type[request.kind], ...fields.end())
}

export function decodeLoginRequest(frame: Frame): LoginRequest {
  const fields = new FieldReader(frame.payload)
  const request = readLoginRequest(frame.type, fields)
  fields.end()
  return request
}

function readLoginRequest(frameType: number, fields: FieldReader): LoginRequest {
  if (frameType === type.closing) return { kind: 'closing', service: readService(fields) }
  if (frameType !== type.open) throw new ContractError(`frame type ${frameType}, a login request was expected`)
  return { kind: 'open', ref: fields.u32(), ticket: exactly(fields.string(ticketBytes)), peer: readPeer(fields) }
}

export function encodeOpenReply(reply: OpenReply): Buffer {
  const fields = new FieldWriter().u32(reply.ref)
  if (reply.kind === 'opened') fields.string(fromText(reply.path)).string(reply.token)
  else fields.u8(refusals.indexOf(reply.why))
  return encodeFrame(type[reply.kind], ...fields.end())
}

export function decodeOpenReply(frame: Frame): OpenReply {
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  let reply: OpenReply
  if (frame.type === type.opened) {
    const path = toText(fields.string(pathBytesMax))
    reply = { kind: 'opened', ref, path, token: exactly(fields.string(ticketBytes)) }
  } else if (frame.type === type.refused) reply = { kind: 'refused', ref, why: choice(fields, refusals) }
  else throw new ContractError(`frame type ${frame.type}, an open reply was expected`)
  fields.end()
  return reply
}

export function encodeSessionStart({ token, facts }: SessionStart): Buffer {
  const fields = new FieldWriter().string(token).string(facts.remoteHost.slice(0, factBytesMax))
  fields.string(facts.localIp).u16(facts.localPort)
  fields.string(facts.tlsProtocol).string(facts.tlsCipher).string(facts.helo.slice(0, factBytesMax))
  return encodeFrame(type.start, ...fields.u8(facts.extended ? 1 : 0).end())
}

export function decodeSessionStart(frame: Frame): SessionStart {
  if (frame.type !== type.start) throw new ContractError(`frame type ${frame.type}, a session start was expected`)
  const fields = new FieldReader(frame.payload)
  const token = exactly(fields.string(ticketBytes))
  const facts = {
    remoteHost: plainText(fields, factBytesMax),
    localIp: plainText(fields, addressTextBytesMax),
    localPort: fields.u16(),
    tlsProtocol: plainText(fields, factBytesMax),
    tlsCipher: plainText(fields, factBytesMax),
    helo: plainText(fields, factBytesMax),
    extended: fields.u8() === 1,
  }
  fields.end()
  return { token, facts }
}

function exactly(secret: ByteString): ByteString {
  if (secret.length !== ticketBytes) throw new ContractError(`a ticket of ${secret.length} bytes`)
  return secret
}

/** The text gets into header lines, environments and logs: a lying front must not add a line there. */
function plainText(fields: FieldReader, bytesMax: number): ByteString {
  const text = fields.string(bytesMax)
  for (const byte of Buffer.from(text, 'latin1'))
    if (byte === del || (byte < space && byte !== tab)) throw new ContractError('a control character in a text')
  return text
}
