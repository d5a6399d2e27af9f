/** The connections of the login fronts: `serving`, then any number of exchanges at once.
 *  Knows:  limits on connections, exchanges and their time; the log line for each end.
 *  Fails:  a frame that breaks the contract closes its connection; an exchange that cannot go on is `temporary`. */
import { describeError } from '../../base/outcome.ts'
import {
  type AuthReply,
  type AuthRequest,
  decodeAuthRequest,
  encodeAuthReply,
  type Rejection,
  rejections,
} from '../../contracts/auth.ts'
import { Counter, type Counts } from '../../contracts/counts.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { type Mechanism, mechanisms } from '../../protocols/sasl/mechanisms.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection, FrameHandlers } from '../../system/frame-connection.ts'
import { FrameServer } from '../../system/frame-server.ts'
import { type Log, printable } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { Exchange, type ExchangeStep } from './exchange.ts'
import type { Authenticator } from './authenticator.ts'
import { connectionsMax, exchangeMillisecondsMax, exchangesMax, exchangesPerConnectionMax } from './limits.ts'

export interface ConversationParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly authenticator: Authenticator
  /** In the order in which they are offered. */
  readonly offered: () => readonly Mechanism[]
}

type Begin = Extract<AuthRequest, { kind: 'begin' }>

interface Running {
  readonly exchange: Exchange
  readonly asked: Begin
  readonly leave: () => void
  /** It is the client's turn. */
  waits: boolean
}

export class Conversations {
  private readonly parts: ConversationParts
  private readonly connections = new Map<FrameConnection, Map<number, Running>>()
  private server: FrameServer | undefined
  private running = 0
  private offered = ''
  private readonly counter = new Counter(['logins-accepted', ...rejections.map((why) => `logins-${why}` as const)])

  constructor(parts: ConversationParts) {
    this.parts = parts
  }

  get counts(): Counts {
    return this.counter.counts
  }

  /** Resolves when the descriptor is served. */
  async serve(fd: number): Promise<void> {
    const { clock, log } = this.parts
    const accept = (connection: FrameConnection): FrameHandlers => this.accept(connection)
    this.server = new FrameServer(fd, { socket: 'authd', purpose: 'auth', clock, log, connectionsMax, accept })
    await this.server.listening()
  }

  /** Ends at once: the fronts take running exchanges for temporary failures. */
  close(): void {
    this.server?.close()
  }

  /** Tells every front if the offered mechanisms have changed. */
  offerAgain(): void {
    const offered = this.parts.offered().join(' ')
    if (offered === this.offered) return
    this.offered = offered
    for (const connection of this.connections.keys()) this.tellServing(connection)
  }

  private accept(connection: FrameConnection): FrameHandlers {
    const exchanges = new Map<number, Running>()
    this.connections.set(connection, exchanges)
    this.tellServing(connection)
    return {
      onFrame: (frame) => this.receive(connection, exchanges, frame),
      onClose: () => this.closed(connection),
    }
  }

  private tellServing(connection: FrameConnection): void {
    connection.send(encodeAuthReply({ kind: 'serving', mechanisms: this.parts.offered() }))
  }

  private closed(connection: FrameConnection): void {
    const exchanges = this.connections.get(connection)
    this.connections.delete(connection)
    for (const ref of [...(exchanges?.keys() ?? [])]) this.forget(exchanges, ref)
  }

  /** An error thrown here closes the connection. */
  private receive(connection: FrameConnection, exchanges: Map<number, Running>, frame: Frame): void {
    const request = decodeAuthRequest(frame)
    const { ref } = request
    const running = exchanges.get(ref)
    if (request.kind === 'begin') {
      if (running !== undefined) throw new ContractError('an exchange of that number is under way')
      this.begin(connection, exchanges, request)
    } else if (request.kind === 'cancel') this.forget(exchanges, ref)
    // The exchange timed out, and the front was told.
    else if (running === undefined) return
    else if (!running.waits) throw new ContractError('a response out of turn')
    else {
      running.waits = false
      void this.advance(connection, exchanges, running, running.exchange.respond(request.data))
    }
  }

  private begin(connection: FrameConnection, exchanges: Map<number, Running>, asked: Begin): void {
    const mechanism = this.parts.offered().find((one) => one === asked.mechanism)
    if (mechanism === undefined || (mechanism.endsWith('-PLUS') && asked.bindings.size === 0))
      return this.reject(connection, asked, '', 'mechanism', 'not offered')
    if (exchanges.size >= exchangesPerConnectionMax || this.running >= exchangesMax)
      return this.reject(connection, asked, '', 'temporary', 'temporary: too many exchanges at once')
    const gone = new AbortController()
    const exchange = new Exchange(this.parts.authenticator, { peer: asked.peer, gone: gone.signal })
    const cancelTimer = this.parts.clock.after(exchangeMillisecondsMax, () => {
      this.forget(exchanges, asked.ref)
      this.reject(connection, asked, exchange.account, 'temporary', 'temporary: it took too long')
    })
    const leave = (): void => {
      cancelTimer()
      gone.abort()
    }
    const running: Running = { exchange, asked, leave, waits: false }
    exchanges.set(asked.ref, running)
    this.running++
    const { initial } = asked
    // A client that saw no -PLUS mechanism says so; that is no downgrade if none was offered.
    const bindings = this.parts.offered().some((one) => one.endsWith('-PLUS')) ? asked.bindings : new Map()
    const first = exchange.begin({ mechanism, initial, bindings }, this.parts.random)
    void this.advance(connection, exchanges, running, first)
  }

  private async advance(
    connection: FrameConnection,
    exchanges: Map<number, Running>,
    running: Running,
    stepping: Promise<ExchangeStep>,
  ): Promise<void> {
    const { asked, exchange } = running
    const step = await stepping.catch((error: unknown): ExchangeStep => {
      return { kind: 'rejected', why: 'temporary', reason: `temporary: ${describeError(error)}` }
    })
    // Cancelled, timed out, or its connection was lost meanwhile. A wrong password is logged all the same.
    const isOver = exchanges.get(asked.ref) !== running
    if (step.kind === 'challenge') {
      running.waits = true
      if (!isOver) this.send(connection, { kind: 'challenge', ref: asked.ref, data: step.data })
      return
    }
    if (!isOver) this.forget(exchanges, asked.ref)
    if (step.kind === 'rejected') return this.reject(connection, asked, exchange.account, step.why, step.reason, isOver)
    const { account, ticket, label } = step
    this.counter.add('logins-accepted')
    this.parts.log(`login ${who(asked)} ${field(account)} ${field(label)}`)
    this.send(connection, { kind: 'accepted', ref: asked.ref, account, ticket })
  }

  private reject(
    connection: FrameConnection,
    asked: Begin,
    account: string,
    why: Rejection,
    reason: string,
    isSilent = false,
  ): void {
    this.counter.add(`logins-${why}`)
    this.parts.log(`failed-login ${who(asked)} ${field(account)}: ${reason}`)
    if (!isSilent) this.send(connection, { kind: 'rejected', ref: asked.ref, why })
  }

  private send(connection: FrameConnection, reply: AuthReply): void {
    connection.send(encodeAuthReply(reply))
  }

  private forget(exchanges: Map<number, Running> | undefined, ref: number): void {
    const running = exchanges?.get(ref)
    if (exchanges === undefined || running === undefined) return
    running.leave()
    exchanges.delete(ref)
    this.running--
  }
}

function who({ peer, mechanism }: Begin): string {
  const named = mechanisms.find((one) => one === mechanism) ?? printable(mechanism)
  return `${printable(peer.remoteIp)} ${peer.service} ${field(named)}`
}

/** A field of a log line is never empty. */
function field(text: string): string {
  return text === '' ? '-' : printable(text)
}
