/** Tells lspawn of logins that were proven, and asks it to run an external password checker.
 *  Fails:  never rejects: whatever goes wrong is `no-answer`. */
import type { Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import {
  decodeTicketReply,
  type Denial,
  encodeTicketRequest,
  type SessionPeer,
  type TicketReply,
  type TicketRequest,
} from '../../contracts/sessions.ts'
import type { Clock } from '../../system/clock.ts'
import { QuestionLink } from '../question-link.ts'

export type Admission =
  | { readonly admitted: true; readonly account: ByteString }
  /** `no-answer`: lspawn could not be asked, or said nothing in time; `temporary` is lspawn's own answer. */
  | { readonly admitted: false; readonly why: Denial | 'no-answer' }

export interface TicketLimits {
  readonly admitMilliseconds: number
  readonly checkMilliseconds: number
}

const connectMillisecondsMax = 5_000
const noAnswer: Admission = { admitted: false, why: 'no-answer' }

export class TicketClient {
  private readonly limits: TicketLimits
  private readonly questions: QuestionLink<TicketReply>

  constructor(connect: () => Promise<Socket>, clock: Clock, limits: TicketLimits) {
    this.limits = limits
    const decode = decodeTicketReply
    this.questions = new QuestionLink({
      to: 'lspawn',
      purpose: 'tickets',
      clock,
      connectMillisecondsMax,
      connect,
      decode,
    })
  }

  /** Resolves when lspawn knows of the ticket, and not before. */
  admit(ticket: ByteString, account: ByteString, peer: SessionPeer): Promise<Admission> {
    return this.ask((ref) => ({ kind: 'admit', ref, ticket, account, peer }), this.limits.admitMilliseconds)
  }

  /** The same, if control/checkpassword accepts the password. */
  check(ticket: ByteString, name: ByteString, password: ByteString, peer: SessionPeer): Promise<Admission> {
    return this.ask((ref) => ({ kind: 'check', ref, ticket, name, password, peer }), this.limits.checkMilliseconds)
  }

  /** Ends the sessions and tickets of the account. If lspawn is away, so are the sessions. */
  revoke(account: ByteString): void {
    this.questions.link.say(encodeTicketRequest({ kind: 'revoke', account }))
  }

  close(): void {
    this.questions.close()
  }

  private async ask(request: (ref: number) => TicketRequest, milliseconds: number): Promise<Admission> {
    try {
      const reply = await this.questions.ask((ref) => encodeTicketRequest(request(ref)), milliseconds)
      return reply.kind === 'admitted'
        ? { admitted: true, account: reply.account }
        : { admitted: false, why: reply.why }
    } catch {
      return noAnswer
    }
  }
}
