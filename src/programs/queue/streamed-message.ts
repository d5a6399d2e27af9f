/** A message whose body comes chunk by chunk: into the store as it comes, committed when it is closed.
 *  Fails:  after the first trouble nothing more is tried; `close` tells it, and nothing is left behind. */
import type { ByteString } from '../../base/byte-string.ts'
import { done, failed, type Failure, type Outcome } from '../../base/outcome.ts'
import type { ContentSink } from '../../clients/queue/enqueuer.ts'
import type { Params } from '../../contracts/envelope.ts'
import type { NewBody } from '../../stores/queue/contract.ts'

type CommitRow = (bodyBytes: number, head: ByteString, late: Params, sender: ByteString) => Promise<void>

/** Reads a message along, for what is not known before its last byte. */
export interface Reading {
  push(bytes: Buffer): void
  /** `fields`: to stand above the head. */
  finish(head: ByteString): Promise<Outcome<{ readonly sender: ByteString; readonly fields: ByteString }>>
}

export function nothingToRead(sender: ByteString): Reading {
  return { push: () => undefined, finish: () => Promise.resolve(done({ sender, fields: '' })) }
}

/** A message whose body is on its way into the store. Writes are made one after another. */
export class StreamedMessage implements ContentSink {
  private readonly id: number
  private readonly commitRow: CommitRow
  private readonly refusal: (error: unknown) => Failure
  private readonly flaw: Failure | undefined
  private readonly reading: Reading
  private body: NewBody | undefined
  private steps: Promise<void>
  private trouble: unknown
  private bytes = 0

  constructor(
    id: number,
    body: Promise<NewBody>,
    commitRow: CommitRow,
    refusal: (error: unknown) => Failure,
    flaw: Failure | undefined,
    reading: Reading,
  ) {
    this.id = id
    this.commitRow = commitRow
    this.refusal = refusal
    this.flaw = flaw
    this.reading = reading
    this.steps = this.step(async () => {
      this.body = await body
    }, Promise.resolve())
  }

  /** Resolves when the bytes are with the store (or have been given up with what went wrong before). */
  write(bytes: Buffer): Promise<void> {
    this.bytes += bytes.length
    this.reading.push(bytes)
    this.steps = this.step(async () => this.body?.write(bytes), this.steps)
    return this.steps
  }

  /** Written so far. */
  get bodyBytes(): number {
    return this.bytes
  }

  /** `head`: to stand below our Received line. */
  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    const read = this.flaw === undefined ? await this.reading.finish(head) : failed(this.flaw)
    if (!read.done) {
      await this.remove()
      return read
    }
    const { sender, fields } = read.value
    this.steps = this.step(async () => {
      await this.body?.seal()
      await this.commitRow(this.bytes, fields + head, late, sender)
    }, this.steps)
    await this.steps
    if (this.trouble === undefined) return done(this.id)
    const failure = this.refusal(this.trouble)
    await this.remove()
    return failed(failure)
  }

  abandon(): void {
    void this.remove()
  }

  private async remove(): Promise<void> {
    await this.steps
    await this.body?.discard()
  }

  /** After the first trouble nothing more is tried; `close` tells it. */
  private async step(work: () => Promise<void> | undefined, after: Promise<void>): Promise<void> {
    await after
    if (this.trouble !== undefined) return
    try {
      await work()
    } catch (error) {
      this.trouble = error
    }
  }
}
