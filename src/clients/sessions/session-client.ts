/** From a ticket to the user's own `local`: asks lspawn, connects, and hands over a socket on which the local has begun
 *  to speak.
 *  Fails:  with a reason of the sessions contract; never rejects. */
import type { LoginService } from '../../contracts/services.ts'
import type { Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { encodeHello } from '../../contracts/hello.ts'
import {
  decodeOpenReply,
  encodeLoginRequest,
  encodeSessionStart,
  type OpenReply,
  type Refusal,
  type SessionFacts,
  type SessionPeer,
} from '../../contracts/sessions.ts'
import { type Clock, DeadlineError, within } from '../../system/clock.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { QuestionLink } from '../question-link.ts'

export interface SessionDeadlines {
  /** A `local` may have to be started. */
  readonly openMillisecondsMax: number
  readonly connectMillisecondsMax: number
  /** A large maildrop is read before the first word. */
  readonly firstWordMillisecondsMax: number
  /** A `local` may be leaving just when it is told of a session: lspawn then takes the ticket once more, when it has seen
   *  that process end. */
  readonly againMilliseconds: number
}
const usualDeadlines: SessionDeadlines = {
  openMillisecondsMax: 10_000,
  connectMillisecondsMax: 5_000,
  firstWordMillisecondsMax: 60_000,
  againMilliseconds: 300,
}

export type BegunSession =
  /** Paused; what it has said is still to be read. */
  | { readonly kind: 'begun'; readonly socket: Socket; readonly first: Buffer }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly logText: string }

type Try = BegunSession | { readonly kind: 'lost'; readonly logText: string }

export interface TicketHolder {
  readonly ticket: ByteString
  readonly peer: SessionPeer
  readonly facts: SessionFacts
}

export class SessionClient {
  private readonly clock: Clock
  private readonly deadlines: SessionDeadlines
  private readonly link: QuestionLink<OpenReply>

  constructor(connect: () => Promise<Socket>, clock: Clock, deadlines: SessionDeadlines = usualDeadlines) {
    this.clock = clock
    this.deadlines = deadlines
    this.link = new QuestionLink({ to: 'lspawn', purpose: 'login', clock, connect, decode: decodeOpenReply })
  }

  async begin(holder: TicketHolder): Promise<BegunSession> {
    const first = await this.tryOnce(holder)
    if (first.kind !== 'lost') return first
    await new Promise<void>((resolve) => this.clock.after(this.deadlines.againMilliseconds, resolve))
    const second = await this.tryOnce(holder)
    if (second.kind === 'begun') return second
    // A second `unknown` only says that the first try had used the ticket up.
    const why = second.kind === 'lost' || second.why === 'unknown' ? 'temporary' : second.why
    return { kind: 'refused', why, logText: `${first.logText}; then ${second.logText}` }
  }

  /** The front stops: lspawn has its sessions end, which tell their clients. */
  closing(service: LoginService): void {
    this.link.link.connection?.send(encodeLoginRequest({ kind: 'closing', service }))
  }

  close(): void {
    this.link.close()
  }

  private async tryOnce({ ticket, peer, facts }: TicketHolder): Promise<Try> {
    try {
      const question = (ref: number): Buffer => encodeLoginRequest({ kind: 'open', ref, ticket, peer })
      const reply = await this.link.ask(question, this.deadlines.openMillisecondsMax)
      if (reply.kind === 'refused') return { kind: 'refused', why: reply.why, logText: reply.why }
      return await this.enter(reply.path, reply.token, facts)
    } catch (error) {
      const logText = describeError(error)
      // A program that has not answered by now would not answer the next time either, and the client waits.
      return error instanceof DeadlineError ? { kind: 'refused', why: 'temporary', logText } : { kind: 'lost', logText }
    }
  }

  private async enter(path: string, token: ByteString, facts: SessionFacts): Promise<BegunSession> {
    const { connectMillisecondsMax, firstWordMillisecondsMax } = this.deadlines
    const socket = await within(this.clock, connectMillisecondsMax, 'local', connectPath(path))
    socket.on('error', () => undefined)
    try {
      socket.write(Buffer.concat([encodeHello({ purpose: 'session', uid: 0 }), encodeSessionStart({ token, facts })]))
      const first = await within(this.clock, firstWordMillisecondsMax, 'local', firstBytes(socket))
      return { kind: 'begun', socket, first }
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
}

function firstBytes(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('the local has closed without a word'))
    socket.once('close', gone)
    socket.once('end', gone)
    socket.once('data', (bytes: Buffer) => {
      socket.pause()
      socket.off('close', gone)
      socket.off('end', gone)
      resolve(bytes)
    })
  })
}
