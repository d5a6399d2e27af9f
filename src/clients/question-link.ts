/** A connection on which one program of ours asks another: any number of questions at once, each with a number; answers
 *  come in any order. Made at the first question, and again after it was lost.
 *  Fails:  `ask` rejects: no connection, no answer in time (DeadlineError), too many questions. */
import type { Socket } from 'node:net'
import type { Frame } from '../contracts/frame.ts'
import { encodeHello, type Purpose } from '../contracts/hello.ts'
import { type Clock, DeadlineError, within } from '../system/clock.ts'
import { FrameConnection } from '../system/frame-connection.ts'

const connectMillisecondsMax = 10_000
const questionsMax = 5_000

export interface QuestionLinkSetting<Answer extends { readonly ref: number }> {
  readonly purpose: Purpose
  readonly clock: Clock
  readonly answerMillisecondsMax: number
  connect(): Promise<Socket>
  /** Throws ContractError. */
  decode(frame: Frame): Answer
}

interface Waiting<Answer> {
  settle(answer: Answer): void
  fail(reason: string): void
}

export class QuestionLink<Answer extends { readonly ref: number }> {
  private readonly setting: QuestionLinkSetting<Answer>
  private readonly waiting = new Map<number, Waiting<Answer>>()
  private link: Promise<FrameConnection> | undefined
  private lastRef = 0

  constructor(setting: QuestionLinkSetting<Answer>) {
    this.setting = setting
  }

  async ask(question: (ref: number) => Uint8Array): Promise<Answer> {
    if (this.waiting.size >= questionsMax) throw new Error('too many questions at once')
    const connection = await this.connected()
    this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
    const ref = this.lastRef
    return await new Promise<Answer>((resolve, reject) => {
      const { clock, answerMillisecondsMax } = this.setting
      const forget = (): void => {
        cancel()
        this.waiting.delete(ref)
      }
      const fail = (reason: string): void => {
        forget()
        reject(new Error(reason))
      }
      const cancel = clock.after(answerMillisecondsMax, () => {
        forget()
        reject(new DeadlineError(`no answer in ${answerMillisecondsMax} ms`))
      })
      const settle = (answer: Answer): void => {
        forget()
        resolve(answer)
      }
      this.waiting.set(ref, { settle, fail })
      connection.send(question(ref))
    })
  }

  /** What has no answer; said to whoever was asked before, and to nobody else. */
  tell(message: Uint8Array): void {
    void this.link?.then(
      (connection) => connection.send(message),
      () => undefined,
    )
  }

  close(): void {
    void this.link?.then(
      (connection) => connection.end(),
      () => undefined,
    )
    this.link = undefined
  }

  private async connected(): Promise<FrameConnection> {
    const link = (this.link ??= this.connect())
    try {
      return await link
    } catch (error) {
      if (this.link === link) this.link = undefined
      throw error
    }
  }

  private async connect(): Promise<FrameConnection> {
    const { clock, purpose, decode } = this.setting
    const socket = await within(clock, connectMillisecondsMax, purpose, this.setting.connect())
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => {
        const answer = decode(frame)
        this.waiting.get(answer.ref)?.settle(answer)
      },
      onClose: (reason) => {
        this.link = undefined
        for (const { fail } of [...this.waiting.values()]) fail(`the connection was lost ${reason}`.trimEnd())
      },
    })
    connection.send(encodeHello({ purpose, uid: 0 }))
    return connection
  }
}
