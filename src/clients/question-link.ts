/** A link on which one program of ours asks another: any number of questions at once, each with a number; answers come in
 *  any order.
 *  Fails:  `ask` rejects: no connection, no answer in time (DeadlineError), too many questions. */
import type { Socket } from 'node:net'
import type { Frame } from '../contracts/frame.ts'
import type { Purpose } from '../contracts/hello.ts'
import { type Clock, DeadlineError } from '../system/clock.ts'
import { Link, type LinkSetting } from './link.ts'

const questionsMax = 5_000

export interface QuestionLinkSetting<Answer extends { readonly ref: number }>
  extends Pick<LinkSetting, 'connectMillisecondsMax' | 'isServing' | 'backOffMilliseconds'> {
  /** The other program. */
  readonly to: string
  readonly purpose: Purpose
  readonly clock: Clock
  connect(): Promise<Socket>
  /** Undefined: the frame is no answer. Throws ContractError, which ends the connection. */
  decode(frame: Frame): Answer | undefined
}

interface Waiting<Answer> {
  take(answer: Answer): void
  fail(error: Error): void
}

export class QuestionLink<Answer extends { readonly ref: number }> {
  readonly link: Link
  private readonly setting: QuestionLinkSetting<Answer>
  private readonly waiting = new Map<number, Waiting<Answer>>()
  private lastRef = 0

  constructor(setting: QuestionLinkSetting<Answer>) {
    this.setting = setting
    this.link = new Link({
      ...setting,
      onFrame: (frame) => {
        const answer = setting.decode(frame)
        // No question waits for one that came too late.
        if (answer !== undefined) this.waiting.get(answer.ref)?.take(answer)
      },
      onLost: (reason) => this.abandon(`the connection to ${setting.to} was lost ${reason}`.trimEnd()),
    })
  }

  ask(question: (ref: number) => Uint8Array, millisecondsMax: number): Promise<Answer> {
    return this.follow(question, (answer) => answer, millisecondsMax)
  }

  /** For a question with more than one answer: `take` gets each, until it returns a result. What it throws ends the
   *  connection. */
  async follow<Result>(
    question: (ref: number) => Uint8Array,
    take: (answer: Answer) => Result | undefined,
    millisecondsMax: number,
  ): Promise<Result> {
    const { to, clock } = this.setting
    if (this.waiting.size >= questionsMax) throw new Error(`${questionsMax} questions are being asked already`)
    const connection = await this.link.connected()
    const ref = this.newRef()
    const frame = question(ref)
    if (connection.closed) throw new Error(`the connection to ${to} was lost`)
    return await new Promise<Result>((resolve, reject) => {
      const forget = (): void => {
        cancel()
        this.waiting.delete(ref)
      }
      const fail = (error: Error): void => {
        forget()
        reject(error)
      }
      const cancel = clock.after(millisecondsMax, () =>
        fail(new DeadlineError(`no answer from ${to} in ${millisecondsMax / 1000} s`)),
      )
      this.waiting.set(ref, {
        take(answer) {
          const result = take(answer)
          if (result === undefined) return
          forget()
          resolve(result)
        },
        fail,
      })
      connection.send(frame)
    })
  }

  /** Open questions get no answer; a later question connects again. */
  close(): void {
    this.link.close()
    this.abandon('closed')
  }

  private abandon(why: string): void {
    for (const { fail } of [...this.waiting.values()]) fail(new Error(why))
  }

  private newRef(): number {
    do this.lastRef = this.lastRef === 0xffffffff ? 1 : this.lastRef + 1
    while (this.waiting.has(this.lastRef))
    return this.lastRef
  }
}
