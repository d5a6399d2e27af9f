/** Asks the policy process. Whatever goes wrong is «no answer» with a reason for the log, never a refusal: the caller goes
 *  on as if it had not asked.
 *  Knows:  one shared connection, made again when it was lost; answers that are fresh enough to serve again; time limits;
 *          back-off, so that a policy process that is down or stuck costs only the first session that notices.
 *  Never:  decides about mail. Fails: never rejects. */
import type { Socket } from 'node:net'
import { FreshMap } from '../../base/fresh-map.ts'
import { describeError } from '../../base/outcome.ts'
import { ContractError } from '../../contracts/frame.ts'
import type { AuthQuestion } from '../../contracts/policy-auth.ts'
import {
  type AuthAnswer,
  type ActedNotice,
  decodePolicyReply,
  type DnsblAnswer,
  type DnsblQuestion,
  encodePolicyNotice,
  encodePolicyRequest,
  type GreylistAnswer,
  type GreylistQuestion,
  type NameAnswer,
  type NameQuestion,
  type PolicyAnswer,
  type PolicyReply,
  type PolicyRequest,
  type SpfAnswer,
  type SpfQuestion,
} from '../../contracts/policy.ts'
import { type Clock, DeadlineError } from '../../system/clock.ts'
import { QuestionLink } from '../question-link.ts'

export type Answered<T> = { readonly answered: true; readonly answer: T } | NotAnswered
export interface NotAnswered {
  readonly answered: false
  /** For the log. */
  readonly why: string
}

/** A little more than the policy process allows itself. */
export const policyMilliseconds = { name: 6_000, spf: 22_000, dnsbl: 6_000, greylist: 3_000, auth: 20_000 } as const
/** Covers a restart of the policy process. */
const servingMillisecondsMax = 2_000
const backOffMilliseconds = { min: 250, max: 10_000 } as const
/** About a kilobyte each. */
const rememberedMax = 5_000
/** After so many questions in a row without any answer policy counts as gone, though the socket is open. */
const silentQuestionsMax = 10

type Reply = Exclude<PolicyReply, { kind: 'serving' }>

export class PolicyClient {
  private readonly clock: Clock
  private readonly remembered = new FreshMap<Answered<PolicyAnswer>>(rememberedMax)
  private readonly questions: QuestionLink<Reply>
  private silent = 0

  constructor(connect: () => Promise<Socket>, clock: Clock) {
    this.clock = clock
    this.questions = new QuestionLink<Reply>({
      to: 'policy',
      purpose: 'policy',
      clock,
      connect,
      connectMillisecondsMax: servingMillisecondsMax,
      backOffMilliseconds,
      isServing: (frame) => decodePolicyReply(frame).kind === 'serving',
      decode: (frame) => {
        const reply = decodePolicyReply(frame)
        this.silent = 0
        return reply.kind === 'serving' ? undefined : reply
      },
    })
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

  auth(question: AuthQuestion): Promise<Answered<AuthAnswer>> {
    return this.ask<AuthAnswer>((ref) => ({ kind: 'auth', ref, ...question }), 'auth')
  }

  /** What became of a message that policy was asked about. Lost with a connection: a report then lacks one message. */
  acted(notice: Omit<ActedNotice, 'kind'>): void {
    this.questions.link.connection?.send(encodePolicyNotice({ kind: 'acted', ...notice }))
  }

  /** Open questions get no answer; a later question connects again. */
  close(): void {
    this.questions.close()
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
    const take = (reply: Reply): Answered<PolicyAnswer> => {
      if (reply.kind === 'none') return none(reply.why)
      if (reply.answer.kind !== kind) throw new ContractError(`${reply.answer.kind} answers ${kind}`)
      return { answered: true, answer: reply.answer }
    }
    try {
      const question = (ref: number): Buffer => encodePolicyRequest(request(ref))
      return (await this.questions.follow(question, take, policyMilliseconds[kind])) as Answered<T>
    } catch (error) {
      if (error instanceof DeadlineError && ++this.silent >= silentQuestionsMax) {
        this.silent = 0
        this.questions.link.drop('policy does not answer')
      }
      return none(describeError(error))
    }
  }
}

function none(why: string): NotAnswered {
  return { answered: false, why }
}
