/** Makes the bounce of a message whose recipients are all done.
 *  With our own queue the bounce is added in the commit that removes the message: neither lost nor sent twice. With
 *  QMAILQUEUE set it is injected through that program first. */
import { toBuffer } from '../../base/byte-string.ts'
import { done, failed, type Outcome, transientFrom } from '../../base/outcome.ts'
import { type Envelope, noParams } from '../../contracts/envelope.ts'
import { type Bounce, bounceParagraphs, type BounceSettings, composeBounce } from '../../protocols/qmail/bounce.ts'
import type { ContentSink, Taker } from '../../clients/queue/taker.ts'
import type { Change, QueuedMessage } from '../../stores/queue/contract.ts'
import type { Acceptance } from './acceptance.ts'
import type { ContentSource } from './content-source.ts'
import { bounceReportBytesMax } from './limits.ts'
import type { QueueClock } from './queue-clock.ts'

/** What comes of a finished message's bounce. */
export type Bounced =
  /** Nothing failed. */
  | { readonly kind: 'none' }
  | { readonly kind: 'discarded' }
  /** Injected by a program already. */
  | { readonly kind: 'injected'; readonly qp: number }
  /** To be committed together with the removal, and scheduled after it. */
  | { readonly kind: 'added'; readonly message: QueuedMessage; readonly content: Buffer; readonly change: Change }

const lineFeed = 10
/** A copy within this length is made in memory; a longer one goes through a content file like any large message. */
const copyInMemoryBytesMax: number = 1024 * 1024

export class Bouncer {
  private readonly settings: BounceSettings
  /** Of the copy of the original; 0 copies it whole. */
  private readonly copyBytesMax: number
  private readonly acceptance: Acceptance
  private readonly source: ContentSource
  private readonly clock: QueueClock
  private readonly program: Taker | undefined

  constructor(options: {
    settings: BounceSettings
    copyBytesMax: number
    acceptance: Acceptance
    source: ContentSource
    clock: QueueClock
    program: Taker | undefined
  }) {
    this.settings = options.settings
    this.copyBytesMax = options.copyBytesMax
    this.acceptance = options.acceptance
    this.source = options.source
    this.clock = options.clock
    this.program = options.program
  }

  async bounce(message: QueuedMessage): Promise<Outcome<Bounced>> {
    if (!message.recipients.some(({ state }) => state === 'failed')) return done({ kind: 'none' })
    const bounce = this.compose(message)
    if (bounce === undefined) return done({ kind: 'discarded' })
    const envelope: Envelope = { sender: bounce.sender, recipients: [bounce.recipient] }
    try {
      const copyBytes = await this.copyBytes(message)
      if (this.program !== undefined)
        return await this.inject(this.program, message.id, envelope, bounce.head, copyBytes)
      if (copyBytes > copyInMemoryBytesMax) return await this.addLarge(message.id, envelope, bounce.head, copyBytes)
      const copy = await this.source.head(message.id, copyBytes)
      const content = Buffer.concat([toBuffer(bounce.head), copy, lineEndAfter(copy)])
      return done({
        kind: 'added',
        ...this.acceptance.prepare(envelope, noParams, content, this.acceptance.bounceOrigin),
      })
    } catch (error) {
      return failed(transientFrom(error, `bounce of ${message.id}`))
    }
  }

  /** The failed in the order in which they failed. */
  private compose(message: QueuedMessage): Bounce | undefined {
    const failedOnes = message.recipients
      .filter(({ state }) => state === 'failed')
      .sort((a, b) => a.lastMs - b.lastMs)
      .map(({ address, prependBytes, last }) => ({
        address: address.slice(prependBytes),
        report: last?.peerText ?? '',
      }))
    const { paragraphs, leftOut } = bounceParagraphs(failedOnes, bounceReportBytesMax)
    return composeBounce(message.sender, paragraphs, this.clock.machineNow(), this.settings, leftOut)
  }

  /** A copy that is cut is cut behind a line; if its first line is too long, anywhere. */
  private async copyBytes({ id, bytes }: QueuedMessage): Promise<number> {
    if (this.copyBytesMax === 0 || bytes <= this.copyBytesMax) return bytes
    return (await this.source.wholeLines(id, this.copyBytesMax)) || this.copyBytesMax
  }

  private async inject(
    taker: Taker,
    id: number,
    envelope: Envelope,
    head: string,
    copyBytes: number,
  ): Promise<Outcome<Bounced>> {
    const sink = await taker.open(envelope, noParams)
    if (!sink.done) return sink
    await this.fill(sink.value, id, head, copyBytes)
    const outcome = await sink.value.close()
    return outcome.done ? done({ kind: 'injected', qp: outcome.value }) : outcome
  }

  private async addLarge(id: number, envelope: Envelope, head: string, copyBytes: number): Promise<Outcome<Bounced>> {
    const intoFile = this.acceptance.open(envelope, noParams, this.acceptance.bounceOrigin)
    await this.fill(intoFile, id, head, copyBytes)
    const outcome = await intoFile.commit()
    return outcome.done ? done({ kind: 'injected', qp: outcome.value }) : outcome
  }

  /** Writes head and copy; if the original cannot be read, what was begun is given up. */
  private async fill(
    into: Pick<ContentSink, 'write' | 'abandon'>,
    id: number,
    head: string,
    copyBytes: number,
  ): Promise<void> {
    try {
      await into.write(toBuffer(head))
      let last: Buffer = Buffer.alloc(0)
      for await (const bytes of this.source.beginning(id, copyBytes)) {
        last = bytes
        await into.write(bytes)
      }
      await into.write(lineEndAfter(last))
    } catch (error) {
      into.abandon()
      throw error
    }
  }
}

/** What we send ends in a line end, whatever the message ended in: SMTP can carry nothing else. */
function lineEndAfter(last: Buffer): Buffer {
  return Buffer.from(last.length === 0 || last.at(-1) === lineFeed ? '' : '\n')
}
