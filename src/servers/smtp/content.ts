/** A message on its way from DATA to whoever takes it.
 *  Knows:  what to do when: gather up to `inlineBytesMax` and submit at once, stream beyond that (or as soon as all
 *          sessions together hold too much), go on to the true end without keeping anything once it is refused.
 *  Never:  holds more than two chunks. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Failure, failed, type Outcome, transient } from '../../base/outcome.ts'
import type { ContentSink, Taker } from '../../clients/queue/taker.ts'
import { inlineBytesMax } from '../../contracts/enqueue.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { DataDecoder, type DataFault, type DataSink, hopsMax } from '../../protocols/smtp/data-decoder.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'

/** Streamed content leaves in pieces of at least so much, however small the pieces are in which it comes. */
const streamBytesMin: number = 32 * 1024
const lf = 10

/** What all sessions of the process hold together. */
export class ContentBudget {
  private readonly bytesMax: number
  private bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }
  add(bytes: number): void {
    this.bytes += bytes
  }
  get held(): number {
    return this.bytes
  }
  get exceeded(): boolean {
    return this.bytes > this.bytesMax
  }
}

export interface Message {
  readonly envelope: Envelope
  readonly params: Params
  /** Goes on top of the content; not counted in its size. */
  readonly received: ByteString
  /** 0: no limit. */
  readonly databytes: number
}

export class Content implements DataSink {
  private readonly decoder = new DataDecoder()
  private readonly message: Message
  private readonly taker: Taker
  private readonly budget: ContentBudget
  private buffer: Buffer = empty
  private used = 0
  private stream: ContentSink | undefined
  private failure: Failure | undefined
  /** Nothing is kept any more: refused, failed or abandoned. */
  private dropped = false

  constructor(message: Message, taker: Taker, budget: ContentBudget) {
    this.message = message
    this.taker = taker
    this.budget = budget
  }

  /** Decodes from `from` on; returns where it stopped. */
  push(chunk: Buffer, from: number): number {
    if (!this.dropped) this.makeRoom(chunk.length - from)
    const at = this.decoder.push(chunk, from, this)
    if (!this.dropped && (this.decoder.fault ?? this.refused()) !== undefined) this.drop()
    return at
  }

  get envelope(): Envelope {
    return this.message.envelope
  }

  get ended(): boolean {
    return this.decoder.ended
  }

  get fault(): DataFault | undefined {
    return this.decoder.fault
  }

  /** Decoded so far. */
  get bytes(): number {
    return this.decoder.bytes
  }

  /** What must be waited for before the next `push`; undefined if nothing. */
  pressure(): Promise<void> | undefined {
    if (this.dropped || this.decoder.ended) return undefined
    const kept = this.budget.exceeded ? 0 : this.stream === undefined ? inlineBytesMax : streamBytesMin
    return this.used > kept ? this.flush() : undefined
  }

  /** After the end: a reply that refuses the message for what it is, or else what its taker said. */
  async finish(): Promise<Reply | Outcome<number>> {
    const refusal = this.refused()
    if (refusal !== undefined) return refusal
    const { envelope, params } = this.message
    if (this.failure === undefined && this.stream === undefined && this.used <= inlineBytesMax) {
      const outcome = this.taker.submit(envelope, params, this.buffer.subarray(0, this.used))
      this.release()
      return outcome
    }
    if (this.failure === undefined) await this.flush()
    const { stream } = this
    if (stream === undefined) return failed(this.failure ?? abandoned)
    this.stream = undefined
    this.dropped = true
    return stream.close()
  }

  /** The rest will not come. */
  drop(): void {
    this.dropped = true
    this.release()
    this.stream?.abandon()
    this.stream = undefined
  }

  write(chunk: Buffer, from: number, to: number, lineEnd: boolean): void {
    if (this.dropped) return
    chunk.copy(this.buffer, this.used, from, to)
    this.used += to - from
    if (lineEnd) this.buffer[this.used++] = lf
  }

  private refused(): Reply | undefined {
    const { header, bytes } = this.decoder
    if (header.hops >= hopsMax) return replies.tooManyHops
    if (this.message.databytes > 0 && bytes > this.message.databytes) return replies.tooBig
    return header.tooBig ? replies.headerTooBig : undefined
  }

  /** Decoded content is never longer than what it was decoded from. */
  private makeRoom(bytes: number): void {
    const first = this.buffer === empty && this.stream === undefined
    const top = first ? this.message.received.length : 0
    const needed = top + this.used + bytes
    if (needed <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, Math.min(2 * this.buffer.length, inlineBytesMax)))
    this.buffer.copy(larger, 0, 0, this.used)
    this.budget.add(larger.length - this.buffer.length)
    this.buffer = larger
    if (first) this.used = larger.write(this.message.received, 0, 'latin1')
  }

  private async flush(): Promise<void> {
    const bytes = this.buffer.subarray(0, this.used)
    this.release()
    if (this.stream === undefined) {
      const opened = await this.taker.open(this.message.envelope, this.message.params)
      if (!opened.done) {
        this.failure = opened.failure
        this.dropped = true
        return
      }
      this.stream = opened.value
    }
    await this.stream.write(bytes)
    // Dropped while it was being opened or written to.
    if (this.dropped) this.drop()
  }

  /** The bytes may still be on their way out, so the buffer is not used again. */
  private release(): void {
    this.budget.add(-this.buffer.length)
    this.buffer = empty
    this.used = 0
  }
}

const empty = Buffer.alloc(0)
/** Its peer is gone: nobody will read this. */
const abandoned: Failure = transient('3.0', 'qq read error', 'abandoned before its end')
