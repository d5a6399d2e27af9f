/** An enqueuer with a reader in front: the reader is asked when the message is whole, before the message is committed, and
 *  refuses it or adds to its head. The message itself passes unchanged.
 *  Never:  holds more than a header. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Failure, failed, type Outcome, permanent } from '../../base/outcome.ts'
import { type Envelope, type Params, withLate } from '../../contracts/envelope.ts'
import { type HeaderField, headerFields } from '../../protocols/dkim/header-fields.ts'
import { HeaderAndBody } from '../../protocols/rfc822/header-and-body.ts'
import { headerBytesMax } from '../../protocols/smtp/data-decoder.ts'
import type { ContentSink, Enqueuer } from './enqueuer.ts'

export interface ReadHeader {
  /** As it came, lines ended by LF, without the empty line at its end; at most 1 MiB, or what the reader says. */
  readonly text: ByteString
  readonly fields: readonly HeaderField[]
}

/** By the reader of a message. */
export interface Added {
  /** Whole header lines to stand above the head. */
  readonly head: ByteString
  readonly params: Params
}

/** Reads one message, as it came, without the head that other programs add. */
export interface ContentReader {
  /** A message with a larger header is refused, and not held until its end. Absent: 1 MiB. */
  readonly headerBytesMax?: number
  /** Once, before any of the body: what will have to be computed of the body is known now. */
  header(header: ReadHeader): void
  /** Pieces of the body as they come: digests are made here. The bytes are a view that may not be kept. */
  body(bytes: Buffer): void
  /** Asked after the last byte: what is to be added, or why the message is not taken. It has a time limit of its own. */
  verdict(): Promise<Outcome<Added>>
  /** The message will not be whole: no verdict will be asked. */
  abandon(): void
}

export class ReadingEnqueuer implements Enqueuer {
  private readonly makeReader: (envelope: Envelope, params: Params) => ContentReader
  private readonly next: Enqueuer

  /** `makeReader`: a new one for each message. */
  constructor(makeReader: (envelope: Envelope, params: Params) => ContentReader, next: Enqueuer) {
    this.makeReader = makeReader
    this.next = next
  }

  open(envelope: Envelope, params: Params): ContentSink {
    return new ReadingSink(this.makeReader(envelope, params), this.next.open(envelope, params))
  }
}

class ReadingSink implements ContentSink {
  private readonly reader: ContentReader
  private readonly next: ContentSink
  private readonly message: HeaderAndBody
  private readonly headerMax: number
  private isTooBig = false
  private failure: Failure | undefined

  constructor(reader: ContentReader, next: ContentSink) {
    this.reader = reader
    this.next = next
    this.headerMax = Math.min(reader.headerBytesMax ?? headerBytesMax, headerBytesMax)
    this.message = new HeaderAndBody({
      header: (text) => {
        if (text.length > this.headerMax) this.isTooBig = true
        else reader.header({ text, fields: headerFields(text) })
      },
      body: (bytes) => {
        if (!this.isTooBig) reader.body(bytes)
      },
    })
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.failure !== undefined) return
    this.message.push(bytes)
    if (this.isTooBig || (this.message.headerBytes ?? 0) > this.headerMax) this.refuse(headerTooBig)
    else await this.next.write(bytes)
  }

  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    if (this.failure !== undefined) return failed(this.failure)
    this.message.end()
    if (this.isTooBig) {
      this.refuse(headerTooBig)
      return failed(headerTooBig)
    }
    const verdict = await this.reader.verdict()
    if (verdict.done) return await this.next.close(verdict.value.head + head, withLate(late, verdict.value.params))
    this.next.abandon()
    return verdict
  }

  abandon(): void {
    this.reader.abandon()
    this.next.abandon()
  }

  private refuse(failure: Failure): void {
    this.failure = failure
    this.abandon()
  }
}

export const headerTooBig: Failure = {
  ...permanent('3.4', 'sorry, that message has too large a header'),
  replyCode: 552,
}
