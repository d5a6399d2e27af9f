/** Tells lspawn of logins that were proven, and asks it to run an external password checker.
 *  Knows:  one shared connection, made when it is needed and again when it was lost; a time limit on each question.
 *  Fails:  never rejects: whatever goes wrong is `no-answer`. */
import type { Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import { encodeHello } from '../../contracts/hello.ts'
import {
  decodeTicketReply,
  type Denial,
  encodeTicketRequest,
  type SessionPeer,
  type TicketRequest,
} from '../../contracts/sessions.ts'
import { type Clock, within } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'

export type Admission =
  | { readonly admitted: true; readonly account: ByteString }
  /** `no-answer`: lspawn could not be asked, or said nothing in time; `temporary` is its own word. */
  | { readonly admitted: false; readonly why: Denial | 'no-answer' }

export interface TicketLimits {
  readonly admitMilliseconds: number
  readonly checkMilliseconds: number
}

type TicketQuestion = Exclude<TicketRequest, { kind: 'revoke' }>

const connectMillisecondsMax = 5_000
const questionsMax = 5_000
const noAnswer: Admission = { admitted: false, why: 'no-answer' }

export class TicketClient {
  private readonly connectSocket: () => Promise<Socket>
  private readonly clock: Clock
  private readonly limits: TicketLimits
  private readonly waiting = new Map<number, (admission: Admission) => void>()
  private link: Promise<FrameConnection> | undefined
  private lastRef = 0

  constructor(connectSocket: () => Promise<Socket>, clock: Clock, limits: TicketLimits) {
    this.connectSocket = connectSocket
    this.clock = clock
    this.limits = limits
  }

  /** Resolves when lspawn knows of the ticket, and not before. */
  admit(ticket: ByteString, account: ByteString, peer: SessionPeer): Promise<Admission> {
    return this.ask((ref) => ({ kind: 'admit', ref, ticket, account, peer }), this.limits.admitMilliseconds)
  }

  /** The same by control/checkpassword, which knows the password. */
  check(ticket: ByteString, name: ByteString, password: ByteString, peer: SessionPeer): Promise<Admission> {
    return this.ask((ref) => ({ kind: 'check', ref, ticket, name, password, peer }), this.limits.checkMilliseconds)
  }

  /** Ends what was let in as the account. If lspawn is away, so are the sessions. */
  revoke(account: ByteString): void {
    this.link ??= this.connect()
    this.link.then(
      (connection) => connection.send(encodeTicketRequest({ kind: 'revoke', account })),
      () => (this.link = undefined),
    )
  }

  close(): void {
    void this.link?.then(
      (connection) => connection.end(),
      () => undefined,
    )
    this.lost()
  }

  private async ask(request: (ref: number) => TicketQuestion, milliseconds: number): Promise<Admission> {
    if (this.waiting.size >= questionsMax) return noAnswer
    try {
      this.link ??= this.connect()
      const connection = await this.link
      if (connection.closed) return noAnswer
      return await this.send(connection, request, milliseconds)
    } catch {
      this.link = undefined
      return noAnswer
    }
  }

  private send(
    connection: FrameConnection,
    request: (ref: number) => TicketQuestion,
    milliseconds: number,
  ): Promise<Admission> {
    do this.lastRef = this.lastRef === 0xffffffff ? 1 : this.lastRef + 1
    while (this.waiting.has(this.lastRef))
    const ref = this.lastRef
    const frame = encodeTicketRequest(request(ref))
    return new Promise((resolve) => {
      const settle = (admission: Admission): void => {
        cancel()
        this.waiting.delete(ref)
        resolve(admission)
      }
      const cancel = this.clock.after(milliseconds, () => settle(noAnswer))
      this.waiting.set(ref, settle)
      connection.send(frame)
    })
  }

  private async connect(): Promise<FrameConnection> {
    const socket = await within(this.clock, connectMillisecondsMax, 'lspawn', this.connectSocket())
    const connection = new FrameConnection(socket, {
      onFrame: (frame) => {
        const reply = decodeTicketReply(frame)
        // One that came too late has nobody who waits for it.
        if (reply.kind === 'admitted') this.waiting.get(reply.ref)?.({ admitted: true, account: reply.account })
        else this.waiting.get(reply.ref)?.({ admitted: false, why: reply.why })
      },
      onClose: () => this.lost(),
    })
    connection.send(encodeHello({ purpose: 'tickets', uid: 0 }))
    return connection
  }

  private lost(): void {
    this.link = undefined
    for (const settle of [...this.waiting.values()]) settle(noAnswer)
  }
}
