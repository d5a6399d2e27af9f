/** An enqueuer that cleans the header of what passes through it: the header is gathered, then the cleaned one and all that
 *  follows goes on to the next enqueuer, which is not asked before.
 *  Never:  holds more than a header and the piece at hand.
 *  Fails:  with what `clean` says, or the next enqueuer. */
import { type ByteString, fromBuffer, toBuffer } from '../../../base/byte-string.ts'
import { type Failure, failed, type Outcome, permanent } from '../../../base/outcome.ts'
import type { ContentSink, Enqueuer } from '../../../clients/queue/enqueuer.ts'
import type { Envelope, Params } from '../../../contracts/envelope.ts'
import { type Field, HeaderGatherer } from '../../../protocols/rfc822/header.ts'
import { headerBytesMax, headerFieldsMax, hopsMax, isHop } from '../../../protocols/smtp/data-decoder.ts'

export interface Cleaned {
  /** To stand above the header. */
  readonly trace: ByteString
  /** As it is to be sent, without the empty line at its end. */
  readonly header: ByteString
}

export type Clean = (fields: readonly Field[]) => Promise<Outcome<Cleaned>>

export class CleaningEnqueuer implements Enqueuer {
  private readonly clean: Clean
  private readonly next: Enqueuer

  constructor(clean: Clean, next: Enqueuer) {
    this.clean = clean
    this.next = next
  }

  open(envelope: Envelope, params: Params): ContentSink {
    return new CleaningSink(this.clean, () => this.next.open(envelope, params))
  }
}

class CleaningSink implements ContentSink {
  private readonly clean: Clean
  private readonly openNext: () => ContentSink
  private readonly gatherer = new HeaderGatherer()
  private gathered = 0
  private trace = ''
  private hasBegun = false
  private sink: ContentSink | undefined
  private failure: Failure | undefined
  private abandoned = false

  constructor(clean: Clean, openNext: () => ContentSink) {
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
    else this.failure = faultOf(this.gatherer.fields)
  }

  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    if (this.failure === undefined) {
      const rest = this.gatherer.end()
      if (!this.hasBegun) await this.begin(rest)
      else if (rest !== '') await this.sink?.write(toBuffer(rest))
    }
    if (this.failure !== undefined || this.sink === undefined) return failed(this.failure ?? headerTooBig)
    return this.sink.close(head + this.trace, late)
  }

  abandon(): void {
    this.abandoned = true
    this.sink?.abandon()
    this.sink = undefined
  }

  private async begin(body: ByteString): Promise<void> {
    this.hasBegun = true
    this.failure = faultOf(this.gatherer.fields)
    if (this.failure !== undefined) return
    const cleaned = await this.clean(this.gatherer.fields)
    if (!cleaned.done) {
      this.failure = cleaned.failure
      return
    }
    this.trace = cleaned.value.trace
    // Given up while it was being cleaned.
    if (this.abandoned) return
    this.sink = this.openNext()
    await this.sink.write(toBuffer(cleaned.value.header + (body === '' ? '\n' : body)))
  }
}

/** The session counts as well, but only from a first line that is not blank. */
function faultOf(fields: readonly Field[]): Failure | undefined {
  if (fields.length > headerFieldsMax) return headerTooBig
  return fields.filter(({ name }) => isHop(name)).length >= hopsMax ? tooManyHops : undefined
}

const tooManyHops: Failure = permanent('4.6', 'too many hops, this message is looping')
const headerTooBig: Failure = permanent('3.4', 'sorry, that message has too large a header')
