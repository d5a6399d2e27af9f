/** An enqueuer that takes Authentication-Results fields in our name out of what strangers send (RFC 8601 §5): those found
 *  there later are ours. Enqueuers in front of it read the message as it came.
 *  Never:  holds more than the header. */
import type { ByteString } from '../../base/byte-string.ts'
import { toBuffer } from '../../base/byte-string.ts'
import { type Failure, failed, type Outcome } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { type IsOurs, withoutOwnResults } from '../../protocols/auth-results/own-fields.ts'
import { HeaderAndBody } from '../../protocols/rfc822/header-and-body.ts'
import { headerBytesMax } from '../../protocols/smtp/data-decoder.ts'
import { headerTooBig } from './reading-enqueuer.ts'
import type { ContentSink, Enqueuer } from './enqueuer.ts'

export class OwnResultsEnqueuer implements Enqueuer {
  private readonly isOurs: IsOurs
  private readonly onRemoved: (fields: number) => void
  private readonly next: Enqueuer

  /** `onRemoved`: how many went, if any did. */
  constructor(isOurs: IsOurs, onRemoved: (fields: number) => void, next: Enqueuer) {
    this.isOurs = isOurs
    this.onRemoved = onRemoved
    this.next = next
  }

  open(envelope: Envelope, params: Params): ContentSink {
    return new CleanedSink(this.isOurs, this.onRemoved, this.next.open(envelope, params))
  }
}

class CleanedSink implements ContentSink {
  private readonly next: ContentSink
  private readonly message: HeaderAndBody
  /** Of the header, as it came. */
  private held: Buffer[] = []
  private heldBytes = 0
  private header: { readonly text: ByteString; readonly isChanged: boolean } | undefined
  private bodyOfPiece: Buffer | undefined
  private failure: Failure | undefined

  constructor(isOurs: IsOurs, onRemoved: (fields: number) => void, next: ContentSink) {
    this.next = next
    this.message = new HeaderAndBody({
      header: (text) => {
        const { header, removed } = withoutOwnResults(text, isOurs)
        if (removed > 0) onRemoved(removed)
        this.header = { text: header, isChanged: removed > 0 }
      },
      body: (bytes) => {
        this.bodyOfPiece = bytes
      },
    })
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.failure !== undefined) return
    if (this.header !== undefined) return this.next.write(bytes)
    this.held.push(bytes)
    this.heldBytes += bytes.length
    this.message.push(bytes)
    if (this.header !== undefined) await this.writeHeader('\n')
    else if (this.heldBytes > headerBytesMax) {
      this.failure = headerTooBig
      this.abandon()
    }
  }

  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    if (this.failure !== undefined) return failed(this.failure)
    if (this.header === undefined) {
      this.message.end()
      await this.writeHeader('')
    }
    return await this.next.close(head, late)
  }

  abandon(): void {
    this.held = []
    this.next.abandon()
  }

  private async writeHeader(emptyLine: '\n' | ''): Promise<void> {
    const { held, header, bodyOfPiece } = this
    this.held = []
    this.bodyOfPiece = undefined
    if (header?.isChanged !== true) {
      for (const piece of held) await this.next.write(piece)
      return
    }
    await this.next.write(toBuffer(header.text + emptyLine))
    if (bodyOfPiece !== undefined) await this.next.write(bodyOfPiece)
  }
}
