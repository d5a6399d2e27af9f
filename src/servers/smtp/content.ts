/** A message on its way from DATA to its enqueuer.
 *  Knows:  when to hand content on in pieces; that a refused message is read to its end and not kept.
 *  Never:  holds more than a piece (what its enqueuer holds is the enqueuer's affair). */
import type { ByteString } from '../../base/byte-string.ts'
import type { Outcome } from '../../base/outcome.ts'
import type { ContentBudget } from '../../clients/queue/content-budget.ts'
import type { ContentSink, Enqueuer } from '../../clients/queue/enqueuer.ts'
import { type Envelope, noParams, type Params } from '../../contracts/envelope.ts'
import { type ContentDecoder, type DataFault, type DataSink, hopsMax } from '../../protocols/smtp/data-decoder.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'

/** Content goes on in pieces of at least so much, however small the pieces are in which it comes. */
const pieceBytesMin: number = 32 * 1024
const lf = 10

export interface Message {
  readonly envelope: Envelope
  readonly params: Params
  /** Goes on top when the message is whole; not counted in its size. */
  readonly head: ByteString
  /** 0: no limit. */
  readonly databytes: number
}

export class Content implements DataSink {
  private readonly decoder: ContentDecoder
  private readonly message: Message
  private readonly enqueuer: Enqueuer
  private readonly budget: ContentBudget
  private buffer: Buffer = empty
  private used = 0
  private sink: ContentSink | undefined
  /** Nothing is kept any more: refused, abandoned or handed over. */
  private dropped = false

  constructor(message: Message, decoder: ContentDecoder, enqueuer: Enqueuer, budget: ContentBudget) {
    this.message = message
    this.decoder = decoder
    this.enqueuer = enqueuer
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
    return this.used > (this.budget.exceeded ? 0 : pieceBytesMin) ? this.flush() : undefined
  }

  /** After the end: a reply that refuses the message for its size, header or hops, or else its enqueuer's outcome. */
  async finish(): Promise<Reply | Outcome<number>> {
    const refusal = this.refused()
    if (refusal !== undefined) return refusal
    const sink = this.open()
    const rest = this.buffer.subarray(0, this.used)
    this.release()
    // From here on its enqueuer alone knows what becomes of it, whatever happens to the connection.
    this.dropped = true
    this.sink = undefined
    if (rest.length > 0) await sink.write(rest)
    return sink.close(this.message.head, noParams)
  }

  /** The rest will not come. */
  drop(): void {
    this.dropped = true
    this.release()
    this.sink?.abandon()
    this.sink = undefined
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
    const needed = this.used + bytes
    if (needed <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, Math.min(2 * this.buffer.length, 2 * pieceBytesMin)))
    this.buffer.copy(larger, 0, 0, this.used)
    this.budget.add(larger.length - this.buffer.length)
    this.buffer = larger
  }

  private async flush(): Promise<void> {
    const bytes = this.buffer.subarray(0, this.used)
    this.release()
    await this.open().write(bytes)
  }

  private open(): ContentSink {
    this.sink ??= this.enqueuer.open(this.message.envelope, this.message.params)
    return this.sink
  }

  /** Its bytes are the sink's now. */
  private release(): void {
    this.budget.add(-this.buffer.length)
    this.buffer = empty
    this.used = 0
  }
}

const empty = Buffer.alloc(0)
