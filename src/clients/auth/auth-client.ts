/** Asks authd to authenticate clients. Whatever goes wrong on the way is `rejected`, `temporary`: no accident lets a client in.
 *  Knows:  one shared connection, kept open and made again when it was lost; a time limit on each step.
 *  Never:  sees a password hash; decides who a client is. Fails: never rejects a promise. */
import type { Socket } from 'node:net'
import { assert } from '../../base/assert.ts'
import type { ByteString } from '../../base/byte-string.ts'
import {
  type AuthReply,
  type AuthRequest,
  type ChannelBindings,
  decodeAuthReply,
  encodeAuthRequest,
  type Rejection,
  saslDataBytesMax,
} from '../../contracts/auth.ts'
import { ContractError } from '../../contracts/frame.ts'
import type { SessionPeer } from '../../contracts/sessions.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { Link } from '../link.ts'

export interface AuthAttempt {
  readonly mechanism: string
  /** Undefined: none; empty: sent, and empty (`=`). */
  readonly initial: ByteString | undefined
  readonly peer: SessionPeer
  readonly bindings: ChannelBindings
}

export interface AuthChallenge {
  readonly kind: 'challenge'
  readonly data: ByteString
  /** Once, and not after `cancel`. */
  respond(data: ByteString): Promise<AuthStep>
  /** The client gave up; nothing more is said of this exchange. */
  cancel(): void
}

export interface AuthAccepted {
  readonly kind: 'accepted'
  readonly account: ByteString
  /** To be presented to lspawn, once and within half a minute. */
  readonly ticket: ByteString
}

export interface AuthRejected {
  readonly kind: 'rejected'
  readonly why: Rejection
}

export type AuthStep = AuthChallenge | AuthAccepted | AuthRejected

/** An external password checker may take its time over a wrong password. */
const stepMillisecondsMax = 30_000
/** For a connection to be served; in the backlog of an authd that is being restarted it just waits. */
const servingMillisecondsMax = 30_000
/** How long an attempt waits for an authd that is away: covers a restart. */
const awayMillisecondsMax = 3_000
const backOffMilliseconds = { min: 100, max: 5_000 } as const
const exchangesMax = 10_000

interface Exchange {
  /** Undefined while it is the client's turn. */
  settle: ((step: AuthStep) => void) | undefined
}

const temporary: AuthRejected = { kind: 'rejected', why: 'temporary' }
const malformed: AuthRejected = { kind: 'rejected', why: 'malformed' }

export class AuthClient {
  private readonly clock: Clock
  private readonly link: Link
  private readonly exchanges = new Map<number, Exchange>()
  private serving: FrameConnection | undefined
  private offered: readonly string[] = []
  private waiting: (() => void)[] = []
  private lastRef = 0

  /** Connects at once, and again whenever the connection is lost, until `close`. */
  constructor(connect: () => Promise<Socket>, clock: Clock) {
    this.clock = clock
    this.link = new Link({
      to: 'authd',
      purpose: 'auth',
      clock,
      connect,
      connectMillisecondsMax: servingMillisecondsMax,
      backOffMilliseconds,
      isServing: (frame) => decodeAuthReply(frame).kind === 'serving',
      onFrame: (frame, connection) => this.receive(connection, decodeAuthReply(frame)),
      onLost: () => this.lost(),
    })
    void this.link.keep()
  }

  /** Resolves when authd has said what it offers, or has not for a few seconds. */
  async heard(): Promise<void> {
    if (this.serving === undefined) await this.awaitServing()
  }

  /** In the order in which they are to be offered, as authd said last: a mail program that is offered none while authd is
   *  being restarted believes that there are none. `-PLUS` ones need a channel binding. */
  mechanisms(): readonly string[] {
    return this.offered
  }

  /** authd is there now. */
  get isServed(): boolean {
    return this.serving !== undefined
  }

  /** `gone`: when it is aborted the exchange is cancelled, whosever turn it is. */
  async begin(attempt: AuthAttempt, gone?: AbortSignal): Promise<AuthStep> {
    // What breaks the contract would close the connection, and end the exchanges of all others.
    if (!/^[A-Z0-9_-]{1,20}$/.test(attempt.mechanism)) return { kind: 'rejected', why: 'mechanism' }
    if ((attempt.initial ?? '').length > saslDataBytesMax) return malformed
    if (this.serving === undefined) await this.awaitServing()
    if (this.serving === undefined || this.exchanges.size >= exchangesMax || gone?.aborted === true) return temporary
    const ref = this.newRef()
    this.exchanges.set(ref, { settle: undefined })
    gone?.addEventListener('abort', () => this.cancel(ref), { once: true })
    return await this.step(ref, { kind: 'begin', ref, ...attempt })
  }

  /** Exchanges under way are rejected. */
  close(): void {
    this.link.close()
    this.lost()
  }

  private step(ref: number, request: AuthRequest): Promise<AuthStep> {
    const exchange = this.exchanges.get(ref)
    // The connection was lost since the challenge.
    if (exchange === undefined || this.serving === undefined) return Promise.resolve(temporary)
    const connection = this.serving
    return new Promise((resolve) => {
      const cancel = this.clock.after(stepMillisecondsMax, () => this.cancel(ref))
      exchange.settle = (result) => {
        cancel()
        exchange.settle = undefined
        if (result.kind !== 'challenge') this.exchanges.delete(ref)
        resolve(result)
      }
      connection.send(encodeAuthRequest(request))
    })
  }

  private challenge(ref: number, data: ByteString): AuthChallenge {
    let used = false
    const use = (): void => {
      assert(!used, 'a challenge is answered once')
      used = true
    }
    return {
      kind: 'challenge',
      data,
      respond: (response) => {
        use()
        if (response.length > saslDataBytesMax) {
          this.cancel(ref)
          return Promise.resolve(malformed)
        }
        return this.step(ref, { kind: 'respond', ref, data: response })
      },
      cancel: () => {
        use()
        this.cancel(ref)
      },
    }
  }

  private cancel(ref: number): void {
    const exchange = this.exchanges.get(ref)
    if (exchange === undefined) return
    this.exchanges.delete(ref)
    this.serving?.send(encodeAuthRequest({ kind: 'cancel', ref }))
    exchange.settle?.(temporary)
  }

  /** What throws here closes the connection. */
  private receive(connection: FrameConnection, reply: AuthReply): void {
    if (reply.kind === 'serving') {
      this.serving = connection
      this.offered = reply.mechanisms
      this.release()
      return
    }
    const exchange = this.exchanges.get(reply.ref)
    // It came too late: no exchange waits for it any more.
    if (exchange === undefined) return
    if (exchange.settle === undefined) {
      if (reply.kind !== 'rejected') throw new ContractError(`${reply.kind} out of turn`)
      // The client took too long; what it says now is answered by `step`.
      this.exchanges.delete(reply.ref)
      return
    }
    if (reply.kind === 'challenge') exchange.settle(this.challenge(reply.ref, reply.data))
    else if (reply.kind === 'accepted')
      exchange.settle({ kind: 'accepted', account: reply.account, ticket: reply.ticket })
    else exchange.settle({ kind: 'rejected', why: reply.why })
  }

  private lost(): void {
    this.serving = undefined
    const exchanges = [...this.exchanges.values()]
    this.exchanges.clear()
    for (const { settle } of exchanges) settle?.(temporary)
  }

  private awaitServing(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.clock.after(awayMillisecondsMax, () => {
        this.waiting = this.waiting.filter((one) => one !== settle)
        resolve()
      })
      const settle = (): void => {
        cancel()
        resolve()
      }
      if (this.waiting.length < exchangesMax) this.waiting.push(settle)
      else settle()
    })
  }

  private release(): void {
    const { waiting } = this
    this.waiting = []
    for (const settle of waiting) settle()
  }

  private newRef(): number {
    do this.lastRef = this.lastRef === 0xffffffff ? 1 : this.lastRef + 1
    while (this.exchanges.has(this.lastRef))
    return this.lastRef
  }
}
