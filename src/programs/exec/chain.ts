/** One message on its way through filter programs: gathered in a temporary file, filtered, handed on.
 *  Fails:  whatever goes wrong is the message's failure; nothing of it is left behind. */
import { describeError, type Failure, failed, type Outcome, transient } from '../../base/outcome.ts'
import { decodeEnqueueRequest, encodeEnqueueReply, type EnqueueRequest } from '../../contracts/enqueue.ts'
import type { Pass } from '../../clients/filters/filter-pass.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import type { Random } from '../../system/random.ts'
import { Spool } from '../../system/spool.ts'

interface Message {
  readonly ref: number
  readonly envelope: Envelope
  readonly params: Params
  readonly spool: Spool
  /** Why it cannot be kept: told at its end. */
  trouble: string
}

export class Chain {
  private readonly connection: FrameConnection
  private readonly random: Random
  private readonly pass: Pass
  private message: Message | undefined

  constructor(connection: FrameConnection, random: Random, pass: Pass) {
    this.connection = connection
    this.random = random
    this.pass = pass
  }

  handle(frame: Frame): void {
    const request = decodeEnqueueRequest(frame)
    if (request === undefined) throw new ContractError(`frame type ${frame.type} after chain`)
    if (request.kind === 'submit' || request.kind === 'open') this.begin(request)
    else this.goOn(request)
  }

  closed(): void {
    this.forget()
  }

  private begin(request: Extract<EnqueueRequest, { kind: 'submit' | 'open' }>): void {
    if (this.message !== undefined) throw new ContractError('two messages on one chain')
    const { ref, envelope, params } = request
    try {
      this.message = { ref, envelope, params, spool: new Spool(this.random), trouble: '' }
    } catch (error) {
      return this.answer(ref, failed(diskTrouble(describeError(error))))
    }
    if (request.kind === 'open') return
    this.append(this.message, request.content)
    this.finish(this.message)
  }

  private goOn(request: Extract<EnqueueRequest, { kind: 'chunk' | 'close' | 'abandon' }>): void {
    const { message } = this
    // After a failure the caller may still be sending.
    if (message === undefined || message.ref !== request.ref) return
    if (request.kind === 'chunk') return this.append(message, request.bytes)
    if (request.kind === 'abandon') return this.forget()
    if (request.contentBytes !== message.spool.bytes && message.trouble === '') {
      throw new ContractError(`${message.spool.bytes} bytes came, ${request.contentBytes} were announced`)
    }
    this.finish(message)
  }

  private append(message: Message, bytes: Buffer): void {
    if (message.trouble !== '') return
    try {
      message.spool.append(bytes)
    } catch (error) {
      message.trouble = describeError(error)
    }
  }

  private finish(message: Message): void {
    // From here on the spool is `passOn`'s to close.
    this.message = undefined
    void this.passOn(message)
  }

  private async passOn({ ref, spool, envelope, params, trouble }: Message): Promise<void> {
    try {
      if (trouble !== '') return this.answer(ref, failed(diskTrouble(trouble)))
      this.answer(ref, await this.pass(spool, envelope, params, () => this.connection.closed))
    } catch (error) {
      this.answer(ref, failed(diskTrouble(describeError(error))))
    } finally {
      spool.close()
    }
  }

  private answer(ref: number, outcome: Outcome<number>): void {
    const reply = outcome.done
      ? ({ kind: 'accepted', ref, id: outcome.value } as const)
      : ({ kind: 'refused', ref, failure: outcome.failure } as const)
    this.connection.send(encodeEnqueueReply(reply))
  }

  private forget(): void {
    this.message?.spool.close()
    this.message = undefined
  }
}

function diskTrouble(logText: string): Failure {
  return transient('3.0', 'qq write error or disk full', `cannot keep a message for its filters: ${logText}`)
}
