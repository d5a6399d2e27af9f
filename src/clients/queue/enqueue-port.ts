/** The client's half of the enqueue contract, over a connection that somebody else owns (a `local`'s also carries deliveries).
 *  Knows:  refs, time limits. Whether a message goes whole or streamed is decided in queue-sink.ts.
 *  Fails:  returns temporary failures with qmail-queue's texts; a refusal by the queue is passed on as it came. */
import type { ByteString } from '../../base/byte-string.ts'
import { failed, done, type Failure, type Outcome, transient } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { chunkBytesMax, decodeEnqueueReply, encodeEnqueueRequest } from '../../contracts/enqueue.ts'
import type { Frame } from '../../contracts/frame.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import type { ContentSink } from './enqueuer.ts'

/** A commit takes milliseconds; a queue that is being restarted answers within seconds. */
const answerMillisecondsMax = 120_000

type Settle = (outcome: Outcome<number>) => void

export class EnqueuePort {
  private readonly waiting = new Map<number, Settle>()
  private lastRef = 0
  private readonly connection: FrameConnection
  private readonly clock: Clock
  private readonly limitMilliseconds: number

  constructor(connection: FrameConnection, clock: Clock, limitMilliseconds: number = answerMillisecondsMax) {
    this.connection = connection
    this.clock = clock
    this.limitMilliseconds = limitMilliseconds
  }

  /** True if the frame was a reply of this contract. */
  handle(frame: Frame): boolean {
    const reply = decodeEnqueueReply(frame)
    if (reply === undefined) return false
    this.settle(reply.ref, reply.kind === 'accepted' ? done(reply.id) : failed(reply.failure))
    return true
  }

  /** Whoever waits is told that nobody knows. */
  connectionClosed(reason: string): void {
    const failure = transient('3.0', 'qq crashed', `lost the queue's connection ${reason}`.trimEnd())
    for (const ref of this.waiting.keys()) this.settle(ref, failed(failure))
  }

  /** For a body of at most `inlineBytesMax`. Resolves with the message id after the commit. */
  submit(envelope: Envelope, params: Params, head: ByteString, body: readonly Buffer[]): Promise<Outcome<number>> {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'submit', ref, envelope, params, head, body }))
    return this.answer(ref)
  }

  /** For a body of any size, written chunk by chunk. */
  open(envelope: Envelope, params: Params): ContentStream {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'open', ref, envelope, params }))
    return new ContentStream(this.connection, ref, this.answer(ref))
  }

  /** Would mail from that sender be taken for that recipient? */
  checkAddresses(sender: ByteString, recipient: ByteString): Promise<Outcome<number>> {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'check', ref, sender, recipient }))
    return this.answer(ref)
  }

  private nextRef(): number {
    this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
    return this.lastRef
  }

  private answer(ref: number): Promise<Outcome<number>> {
    return new Promise((resolve) => {
      if (this.connection.closed) {
        resolve(failed(transient('3.0', 'qq crashed', 'the queue closed the connection')))
        return
      }
      const cancel = this.clock.after(this.limitMilliseconds, () => this.settle(ref, failed(this.timeout())))
      this.waiting.set(ref, (outcome) => {
        cancel()
        resolve(outcome)
      })
    })
  }

  private timeout(): Failure {
    return transient('3.0', 'qq timeout', `no answer from the queue in ${this.limitMilliseconds} ms`)
  }

  private settle(ref: number, outcome: Outcome<number>): void {
    const settle = this.waiting.get(ref)
    this.waiting.delete(ref)
    settle?.(outcome)
  }
}

export class ContentStream implements ContentSink {
  private readonly connection: FrameConnection
  private readonly ref: number
  private readonly answer: Promise<Outcome<number>>
  private written = 0
  private abandoned = false

  constructor(connection: FrameConnection, ref: number, answer: Promise<Outcome<number>>) {
    this.connection = connection
    this.ref = ref
    this.answer = answer
  }

  /** Resolves when the next chunk may come. */
  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.abandoned; at += chunkBytesMax) {
      const chunk = bytes.subarray(at, at + chunkBytesMax)
      this.connection.send(encodeEnqueueRequest({ kind: 'chunk', ref: this.ref, bytes: chunk }))
      this.written += chunk.length
      await this.connection.pressure()
    }
  }

  /** The content is complete: resolves with the message id after the commit. */
  close(head: ByteString, late: Params): Promise<Outcome<number>> {
    this.connection.send(encodeEnqueueRequest({ kind: 'close', ref: this.ref, bodyBytes: this.written, head, late }))
    return this.answer
  }

  /** The content will not be completed; the queue forgets it. */
  abandon(): void {
    this.abandoned = true
    this.connection.send(encodeEnqueueRequest({ kind: 'abandon', ref: this.ref }))
  }
}
