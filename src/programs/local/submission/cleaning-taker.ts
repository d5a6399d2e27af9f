/** A taker that cleans the header of what passes through it: the header is gathered, then the cleaned one and all that
 *  follows goes on to the next taker, which is not asked before.
 *  Never:  holds more than a header and the piece at hand.
 *  Fails:  with what `clean` says, or the next taker. */
import { type ByteString, fromBuffer, toBuffer } from '../../../base/byte-string.ts'
import { done, type Failure, failed, type Outcome, permanent } from '../../../base/outcome.ts'
import type { ContentSink, Taker } from '../../../clients/queue/taker.ts'
import { inlineBytesMax } from '../../../contracts/enqueue.ts'
import type { Envelope, Params } from '../../../contracts/envelope.ts'
import { type Field, HeaderGatherer } from '../../../protocols/rfc822/header.ts'
import { headerBytesMax } from '../../../protocols/smtp/data-decoder.ts'

/** The header as it is to be sent, without the empty line at its end. */
export type Clean = (fields: readonly Field[]) => Promise<Outcome<ByteString>>

export class CleaningTaker implements Taker {
  private readonly clean: Clean
  private readonly next: Taker

  constructor(clean: Clean, next: Taker) {
    this.clean = clean
    this.next = next
  }

  async submit(envelope: Envelope, params: Params, content: Buffer): Promise<Outcome<number>> {
    const gatherer = new HeaderGatherer()
    const body = (gatherer.push(fromBuffer(content)) ?? '') + gatherer.end()
    const header = await this.clean(gatherer.fields)
    if (!header.done) return header
    const whole = toBuffer(header.value + (body === '' ? '\n' : body))
    if (whole.length <= inlineBytesMax) return this.next.submit(envelope, params, whole)
    // Cleaning adds fields: what just fitted may not fit any more.
    const opened = await this.next.open(envelope, params)
    if (!opened.done) return opened
    await opened.value.write(whole)
    return opened.value.close()
  }

  open(envelope: Envelope, params: Params): Promise<Outcome<ContentSink>> {
    return Promise.resolve(done(new CleaningSink(this.clean, () => this.next.open(envelope, params))))
  }
}

class CleaningSink implements ContentSink {
  private readonly clean: Clean
  private readonly openNext: () => Promise<Outcome<ContentSink>>
  private readonly gatherer = new HeaderGatherer()
  private gathered = 0
  private hasBegun = false
  private sink: ContentSink | undefined
  private failure: Failure | undefined
  private abandoned = false

  constructor(clean: Clean, openNext: () => Promise<Outcome<ContentSink>>) {
    this.clean = clean
    this.openNext = openNext
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.failure !== undefined || this.abandoned) return
    if (this.gatherer.isOver) return this.sink?.write(bytes)
    this.gathered += bytes.length
    const body = this.gatherer.push(fromBuffer(bytes))
    if (this.hasBegun) return this.sink?.write(toBuffer(body ?? ''))
    if (body !== undefined) await this.begin(body)
    // The piece in which the header ends may be longer; the session has its own count.
    else if (this.gathered > headerBytesMax) this.failure = headerTooBig
  }

  async close(): Promise<Outcome<number>> {
    if (this.failure === undefined) {
      const rest = this.gatherer.end()
      if (!this.hasBegun) await this.begin(rest)
      else if (rest !== '') await this.sink?.write(toBuffer(rest))
    }
    if (this.failure !== undefined || this.sink === undefined) return failed(this.failure ?? headerTooBig)
    return this.sink.close()
  }

  abandon(): void {
    this.abandoned = true
    this.sink?.abandon()
    this.sink = undefined
  }

  private async begin(body: ByteString): Promise<void> {
    this.hasBegun = true
    const header = await this.clean(this.gatherer.fields)
    if (!header.done) {
      this.failure = header.failure
      return
    }
    const opened = await this.openNext()
    if (!opened.done) {
      this.failure = opened.failure
      return
    }
    // Given up while it was being opened.
    if (this.abandoned) return opened.value.abandon()
    this.sink = opened.value
    await this.sink.write(toBuffer(header.value + (body === '' ? '\n' : body)))
  }
}

const headerTooBig: Failure = permanent('3.4', 'sorry, that message has too large a header')
