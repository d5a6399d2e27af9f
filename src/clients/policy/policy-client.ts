/** Asks the policy process. Whatever goes wrong is «no answer» with a reason for the log, never a refusal: the caller goes
 *  on as if it had not asked.
 *  Knows:  one shared connection, made again when it was lost; answers that are fresh enough to serve again; time limits;
 *          back-off, so that a policy process that is down or stuck costs a session nothing after the first who noticed.
 *  Never:  decides about mail. Fails: never rejects. */
import type { Socket } from 'node:net'
import { FreshMap } from '../../base/fresh-map.ts'
import { describeError } from '../../base/outcome.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { encodeHello } from '../../contracts/hello.ts'
import {
  decodePolicyReply,
  type DnsblAnswer,
  type DnsblQuestion,
  encodePolicyRequest,
  type GreylistAnswer,
  type GreylistQuestion,
  type NameAnswer,
  type NameQuestion,
  type PolicyAnswer,
  type PolicyRequest,
  type SpfAnswer,
  type SpfQuestion,
} from '../../contracts/policy.ts'
import { type Clock, within } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'

export type Answered<T> = { readonly answered: true; readonly answer: T } | NotAnswered
export interface NotAnswered {
  readonly answered: false
  /** For the log. */
  readonly why: string
}

/** A little more than the policy process allows itself. */
export const policyMilliseconds = { name: 6_000, spf: 22_000, dnsbl: 6_000, greylist: 3_000 } as const
/** Covers a restart of the policy process. */
const servingMillisecondsMax = 2_000
const backOffMillisecondsMin = 250
const backOffMillisecondsMax = 10_000
const questionsMax = 5_000
/** About a kilobyte each. */
const rememberedMax = 5_000
/** So many questions in a row without any answer: nobody is there, though the socket is open. */
const silentQuestionsMax = 10

interface Waiting {
  readonly kind: PolicyAnswer['kind']
  settle(answered: Answered<PolicyAnswer>): void
}

export class PolicyClient {
  private readonly connectSocket: () => Promise<Socket>
  private readonly clock: Clock
  private readonly remembered = new FreshMap<Answered<PolicyAnswer>>(rememberedMax)
  private readonly waiting = new Map<number, Waiting>()
  private link: Promise<FrameConnection> | undefined
  private lastRef = 0
  private silent = 0
  private backOff = backOffMillisecondsMin
  private retryAt = Number.NEGATIVE_INFINITY
  private trouble = ''

  constructor(connectSocket: () => Promise<Socket>, clock: Clock) {
    this.connectSocket = connectSocket
    this.clock = clock
  }

  name(question: NameQuestion): Promise<Answered<NameAnswer>> {
    const key = ['name', question.ip, question.confirm].join('\0')
    return this.recall<NameAnswer>(key, () => this.ask((ref) => ({ kind: 'name', ref, ...question }), 'name'))
  }

  spf(question: SpfQuestion): Promise<Answered<SpfAnswer>> {
    const { ip, helo, sender, bestGuess, refuseOpenPass } = question
    const key = ['spf', ip, bestGuess, refuseOpenPass, helo, sender].join('\0')
    return this.recall<SpfAnswer>(key, () => this.ask((ref) => ({ kind: 'spf', ref, ...question }), 'spf'))
  }

  dnsbl(question: DnsblQuestion): Promise<Answered<DnsblAnswer>> {
    const key = ['dnsbl', question.ip, ...question.lists].join('\0')
    return this.recall<DnsblAnswer>(key, () => this.ask((ref) => ({ kind: 'dnsbl', ref, ...question }), 'dnsbl'))
  }

  greylist(question: GreylistQuestion): Promise<Answered<GreylistAnswer>> {
    return this.ask<GreylistAnswer>((ref) => ({ kind: 'greylist', ref, ...question }), 'greylist')
  }

  /** What is asked gets no answer; a later question connects again. */
  close(): void {
    void this.link?.then(
      (connection) => connection.end(),
      () => undefined,
    )
    this.link = undefined
    this.abandon('closed')
  }

  /** No field of a question holds a NUL, so no two questions have the same key. */
  private async recall<T extends PolicyAnswer>(key: string, ask: () => Promise<Answered<T>>): Promise<Answered<T>> {
    const known = this.remembered.get(key, this.clock.monotonic())
    if (known !== undefined) return known as Answered<T>
    const answered = await ask()
    const freshMilliseconds = answered.answered ? answered.answer.freshMilliseconds : 0
    if (freshMilliseconds > 0) this.remembered.set(key, answered, this.clock.monotonic() + freshMilliseconds)
    return answered
  }

  private async ask<T extends PolicyAnswer>(
    request: (ref: number) => PolicyRequest,
    kind: T['kind'],
  ): Promise<Answered<T>> {
    if (this.clock.monotonic() < this.retryAt) return none(this.trouble)
    if (this.waiting.size >= questionsMax) return none(`${questionsMax} questions are being asked already`)
    try {
      this.link ??= this.connect()
      const connection = await this.link
      return (await this.send(connection, request, kind)) as Answered<T>
    } catch (error) {
      return none(describeError(error))
    }
  }

  private send(
    connection: FrameConnection,
    request: (ref: number) => PolicyRequest,
    kind: PolicyAnswer['kind'],
  ): Promise<Answered<PolicyAnswer>> {
    this.lastRef = this.lastRef === 0xffffffff ? 1 : this.lastRef + 1
    const ref = this.lastRef
    const frame = encodePolicyRequest(request(ref))
    if (connection.closed) return Promise.resolve(none('the connection to policy was lost'))
    return new Promise((resolve) => {
      const cancel = this.clock.after(policyMilliseconds[kind], () => {
        this.settle(ref, none(`no answer from policy in ${policyMilliseconds[kind] / 1000} s`))
        this.silent++
        if (this.silent >= silentQuestionsMax) connection.destroy('policy does not answer')
      })
      this.waiting.set(ref, {
        kind,
        settle(answered) {
          cancel()
          resolve(answered)
        },
      })
      connection.send(frame)
    })
  }

  private settle(ref: number, answered: Answered<PolicyAnswer>): void {
    const waiting = this.waiting.get(ref)
    this.waiting.delete(ref)
    waiting?.settle(answered)
  }

  private abandon(why: string): void {
    for (const ref of [...this.waiting.keys()]) this.settle(ref, none(why))
  }

  /** Resolves when the policy process has said that it serves. */
  private async connect(): Promise<FrameConnection> {
    try {
      const socket = await within(this.clock, servingMillisecondsMax, 'policy', this.connectSocket())
      const { promise, resolve, reject } = Promise.withResolvers<FrameConnection>()
      const connection: FrameConnection = new FrameConnection(socket, {
        onFrame: (frame) => this.receive(frame, () => resolve(connection)),
        onClose: (reason) => {
          reject(new Error(`policy closed the connection ${reason}`.trimEnd()))
          this.lost(reason)
        },
      })
      connection.send(encodeHello({ purpose: 'policy', uid: 0 }))
      try {
        return await within(this.clock, servingMillisecondsMax, 'policy', promise)
      } catch (error) {
        connection.destroy('')
        throw error
      }
    } catch (error) {
      this.link = undefined
      this.trouble = describeError(error)
      this.retryAt = this.clock.monotonic() + this.backOff
      this.backOff = Math.min(2 * this.backOff, backOffMillisecondsMax)
      throw error
    }
  }

  /** What throws here closes the connection. */
  private receive(frame: Frame, onServing: () => void): void {
    const reply = decodePolicyReply(frame)
    this.silent = 0
    if (reply.kind === 'serving') {
      this.backOff = backOffMillisecondsMin
      onServing()
      return
    }
    const waiting = this.waiting.get(reply.ref)
    // It came too late; nobody waits any more.
    if (waiting === undefined) return
    if (reply.kind === 'none') return this.settle(reply.ref, none(reply.why))
    if (reply.answer.kind !== waiting.kind) throw new ContractError(`${reply.answer.kind} answers ${waiting.kind}`)
    this.settle(reply.ref, { answered: true, answer: reply.answer })
  }

  private lost(reason: string): void {
    this.link = undefined
    this.silent = 0
    this.abandon(`the connection to policy was lost ${reason}`.trimEnd())
  }
}

function none(why: string): NotAnswered {
  return { answered: false, why }
}
