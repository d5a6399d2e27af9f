/** One message on its way to the queue, or to exec: gathered while it is small, and sent in one frame when it is closed;
 *  streamed beyond that, or as soon as the process holds too much. Only this file decides that.
 *  Fails:  with qmail-queue's texts. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, type Failure, failed, type Outcome, transient } from '../../base/outcome.ts'
import { headBytesMax, inlineBytesMax } from '../../contracts/enqueue.ts'
import { type Envelope, type Params, withLate } from '../../contracts/envelope.ts'
import type { ContentBudget } from './content-budget.ts'
import type { EnqueuePort, ReceiveDescriptor } from './enqueue-port.ts'
import type { ContentSink } from './enqueuer.ts'

/** A connection, for one message. */
export interface EnqueueLink {
  readonly port: EnqueuePort
  /** Absent: the queue gives no files on it. */
  readonly receiveDescriptor?: ReceiveDescriptor
  /** The message is answered or abandoned. */
  release(): void
}

export interface QueueRoute {
  /** `the queue`, or the program before it; for the log. */
  readonly to: string
  /** Of all sinks of the process. */
  readonly budget: ContentBudget
  /** `streamed`: the message is slow, and holds up all that comes after it on its connection. Rejects if the program is away. */
  connect(manner: 'whole' | 'streamed'): Promise<EnqueueLink>
}

export class QueueSink implements ContentSink {
  private readonly route: QueueRoute
  private readonly envelope: Envelope
  private readonly params: Params
  private pieces: Buffer[] = []
  private gathered = 0
  private link: EnqueueLink | undefined
  private stream: ContentSink | undefined
  private failure: Failure | undefined

  constructor(route: QueueRoute, envelope: Envelope, params: Params) {
    this.route = route
    this.envelope = envelope
    this.params = params
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.failure !== undefined) return
    if (this.stream !== undefined) return this.stream.write(bytes)
    this.pieces.push(bytes)
    this.gathered += bytes.length
    this.route.budget.add(bytes.length)
    if (this.gathered > inlineBytesMax || this.route.budget.exceeded) await this.beginStream()
  }

  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    if (head.length > headBytesMax) this.fail(headTooLong(head.length))
    if (this.failure !== undefined) return failed(this.failure)
    const outcome = await (this.stream === undefined ? this.sendWhole(head, late) : this.stream.close(head, late))
    this.end()
    return outcome
  }

  abandon(): void {
    this.fail(abandoned)
  }

  private async sendWhole(head: ByteString, late: Params): Promise<Outcome<number>> {
    try {
      const link = await this.route.connect('whole')
      this.link = link
      return await link.port.submit(this.envelope, withLate(this.params, late), head, this.takePieces())
    } catch (error) {
      return failed(this.unreachable(error))
    }
  }

  private async beginStream(): Promise<void> {
    try {
      const link = await this.route.connect('streamed')
      // Given up meanwhile.
      if (this.isOver) return link.release()
      this.link = link
      const stream = await this.openStream(link)
      if (this.isOver) return stream.abandon()
      this.stream = stream
      for (const piece of this.takePieces()) await this.stream.write(piece)
    } catch (error) {
      this.fail(this.unreachable(error))
    }
  }

  private get isOver(): boolean {
    return this.failure !== undefined
  }

  private openStream({ port, receiveDescriptor }: EnqueueLink): ContentSink | Promise<ContentSink> {
    const { envelope, params } = this
    if (receiveDescriptor === undefined) return port.open(envelope, params)
    return port.openFile(envelope, params, receiveDescriptor)
  }

  /** The first failure counts. */
  private fail(failure: Failure): void {
    this.failure ??= failure
    this.stream?.abandon()
    this.end()
  }

  private end(): void {
    this.takePieces()
    this.stream = undefined
    this.link?.release()
    this.link = undefined
  }

  private takePieces(): Buffer[] {
    const { pieces } = this
    this.route.budget.add(-this.gathered)
    this.gathered = 0
    this.pieces = []
    return pieces
  }

  private unreachable(error: unknown): Failure {
    return transient('3.0', 'unable to exec qq', `cannot reach ${this.route.to}: ${describeError(error)}`)
  }
}

/** No caller sees it. */
const abandoned = transient('3.0', 'qq read error', 'abandoned before its end')

function headTooLong(bytes: number): Failure {
  return transient('3.0', 'qq temporary problem', `a head of ${bytes} bytes, limit ${headBytesMax}`)
}
