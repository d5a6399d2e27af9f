/** One message on its way through filter programs: its frames feed a sink whose enqueuer filters it and hands it on.
 *  Fails:  any error fails the message, of which nothing stays behind. */
import type { Outcome } from '../../base/outcome.ts'
import type { ContentSink, Enqueuer } from '../../clients/queue/enqueuer.ts'
import { decodeEnqueueRequest, encodeEnqueueReply, type EnqueueRequest } from '../../contracts/enqueue.ts'
import { noParams, type Params } from '../../contracts/envelope.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'

interface Message {
  readonly ref: number
  readonly sink: ContentSink
  bytes: number
}

export class Chain {
  private readonly connection: FrameConnection
  private readonly enqueuer: Enqueuer
  private message: Message | undefined

  constructor(connection: FrameConnection, enqueuer: Enqueuer) {
    this.connection = connection
    this.enqueuer = enqueuer
  }

  handle(frame: Frame): void {
    const request = decodeEnqueueRequest(frame)
    if (request === undefined) throw new ContractError(`frame type ${frame.type} after chain`)
    if (request.kind === 'check') throw new ContractError('a question on a chain')
    if (request.kind === 'submit' || request.kind === 'open') this.begin(request)
    else this.goOn(request)
  }

  /** Drops a message that was not closed. */
  forget(): void {
    this.message?.sink.abandon()
    this.message = undefined
  }

  private begin(request: Extract<EnqueueRequest, { kind: 'submit' | 'open' }>): void {
    if (this.message !== undefined) throw new ContractError('two messages on one chain')
    const { ref, envelope, params } = request
    const message = { ref, sink: this.enqueuer.open(envelope, params), bytes: 0 }
    this.message = message
    if (request.kind === 'open') return
    for (const piece of request.body) this.write(message, piece)
    void this.close(message, request.head, noParams)
  }

  private goOn(request: Extract<EnqueueRequest, { kind: 'chunk' | 'close' | 'abandon' }>): void {
    const { message } = this
    if (message === undefined || message.ref !== request.ref) return
    if (request.kind === 'chunk') return this.write(message, request.bytes)
    if (request.kind === 'abandon') return this.forget()
    if (request.bodyBytes !== message.bytes)
      throw new ContractError(`${message.bytes} bytes came, ${request.bodyBytes} were announced`)
    void this.close(message, request.head, request.late)
  }

  /** Copies the frame's bytes, which are a view into a larger, reused buffer. The sink writes to memory or a file, so there is
   *  no need to wait. */
  private write(message: Message, bytes: Buffer): void {
    message.bytes += bytes.length
    void message.sink.write(Buffer.from(bytes))
  }

  private async close({ ref, sink }: Message, head: string, late: Params): Promise<void> {
    this.message = undefined
    this.answer(ref, await sink.close(head, late))
  }

  private answer(ref: number, outcome: Outcome<number>): void {
    const reply = outcome.done
      ? ({ kind: 'accepted', ref, id: outcome.value } as const)
      : ({ kind: 'refused', ref, failure: outcome.failure } as const)
    this.connection.send(encodeEnqueueReply(reply))
  }
}
