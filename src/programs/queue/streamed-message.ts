/** A message whose body comes chunk by chunk, or is written by whoever hands it in: into the store as it comes, committed when
 *  it is closed.
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

/** A message whose body is on its way into the store. Writes are made one after another; what comes during one goes together
 *  into the next. */
export class StreamedMessage implements ContentSink {
  private readonly id: number
  private readonly sender: ByteString
  private readonly commitRow: CommitRow
  private readonly refusal: (error: unknown) => Failure
  private readonly flaw: Failure | undefined
  private readonly reading: Reading | undefined
  private body: NewBody | undefined
  private steps: Promise<void>
  /** For the next write, which resolves `gathering`. */
  private gathered: Buffer[] = []
  private gathering: Promise<void> | undefined
  private trouble: unknown
  private bytes = 0

  constructor(
    id: number,
    sender: ByteString,
    body: Promise<NewBody>,
    commitRow: CommitRow,
    refusal: (error: unknown) => Failure,
    flaw: Failure | undefined,
    reading: Reading | undefined,
  ) {
    this.id = id
    this.sender = sender
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
    this.reading?.push(bytes)
    this.gathered.push(bytes)
    if (this.gathering === undefined) {
      this.gathering = this.writeGathered(this.steps)
      this.steps = this.gathering
    }
    return this.gathering
  }

  /** Has the file sent to who hands the message in, who writes the body himself. False: it comes in chunks. Not where somebody
   *  here reads along. */
  async giveFile(send: (fd: number) => boolean): Promise<boolean> {
    if (this.reading !== undefined || this.flaw !== undefined) return false
    let isGiven = false
    this.steps = this.step(async () => {
      isGiven = (await this.body?.give(send)) === true
    }, this.steps)
    await this.steps
    return isGiven
  }

  /** So many are in the file that was given. */
  writtenElsewhere(bytes: number): void {
    this.bytes = bytes
  }

  /** Written so far. */
  get bodyBytes(): number {
    return this.bytes
  }

  /** `head`: to stand below our Received line. */
  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    const read = this.flaw === undefined ? await this.read(head) : failed(this.flaw)
    if (!read.done) {
      await this.remove()
      return read
    }
    const { sender, fields } = read.value
    this.steps = this.step(async () => {
      await this.body?.seal(this.bytes)
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

  private async read(head: ByteString): ReturnType<Reading['finish']> {
    return (await this.reading?.finish(head)) ?? done({ sender: this.sender, fields: '' })
  }

  private async writeGathered(after: Promise<void>): Promise<void> {
    await after
    const { gathered } = this
    this.gathered = []
    this.gathering = undefined
    await this.step(() => this.body?.write(gathered), Promise.resolve())
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
