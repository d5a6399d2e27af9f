/** Makes the bounce of a message whose recipients are all done.
 *  With our own queue the bounce is added in the commit that removes the message: neither lost nor sent twice. With
 *  QMAILQUEUE set it is injected through that program first.
 *  Fails:  for now where it cannot be made or injected now. Who refuses it for good gets a double bounce, to postmaster, in its
 *          place; who refuses that, too, hears no more of it. */
import { toBuffer } from '../../base/byte-string.ts'
import { done, type Failure, failed, type Outcome, transientFrom } from '../../base/outcome.ts'
import { type Envelope, noParams } from '../../contracts/envelope.ts'
import {
  type Bounce,
  bounceParagraph,
  bounceParagraphs,
  type BounceSettings,
  composeBounce,
} from '../../protocols/qmail/bounce.ts'
import { handOn, type Enqueuer } from '../../clients/queue/enqueuer.ts'
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
  /** For good, as that of postmaster's. */
  | { readonly kind: 'refused'; readonly why: string }
  /** Injected by a program already. */
  | { readonly kind: 'injected'; readonly qp: number }
  /** To be committed together with the removal, and scheduled after it. */
  | { readonly kind: 'added'; readonly message: QueuedMessage; readonly content: Buffer; readonly change: Change }

const lineFeed = 10
/** Takes bounces. */
type Taker = Pick<Enqueuer, 'open'>

/** A copy within this length is made in memory; a longer one goes through a content file like any large message. */
const copyInMemoryBytesMax: number = 1024 * 1024

export class Bouncer {
  private readonly settings: BounceSettings
  /** Of the copy of the original; 0 copies it whole. */
  private readonly copyBytesMax: number
  private readonly acceptance: Acceptance
  private readonly source: ContentSource
  private readonly clock: QueueClock
  private readonly program: Enqueuer | undefined

  constructor(options: {
    settings: BounceSettings
    copyBytesMax: number
    acceptance: Acceptance
    source: ContentSource
    clock: QueueClock
    program: Enqueuer | undefined
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
    const flaw = this.acceptance.checkAddresses(bounce.sender, bounce.recipient)
    if (flaw?.class === 4) return failed(flaw)
    try {
      const copyBytes = await this.copyBytes(message)
      const content = (head: string): AsyncGenerator<Buffer> => this.content(message.id, head, copyBytes)
      const { bounceOrigin } = this.acceptance
      const intoFile: Taker = { open: (to, params) => this.acceptance.open(to, params, bounceOrigin) }
      const taker = this.program ?? (copyBytes > copyInMemoryBytesMax ? intoFile : undefined)
      if (taker !== undefined) return await this.inject(taker, bounce, content)
      const body = await Array.fromAsync(content(bounce.head))
      const completed = await this.acceptance.completed(envelope, noParams, { head: '', body }, bounceOrigin)
      if (!completed.done) return completed
      const { content: signed } = completed.value
      return done({ kind: 'added', ...this.acceptance.prepare(envelope, noParams, signed, bounceOrigin) })
    } catch (error) {
      return failed(transientFrom(error, `bounce of ${message.id}`))
    }
  }

  private async inject(
    taker: Taker,
    bounce: Bounce,
    content: (head: string) => AsyncIterable<Buffer>,
  ): Promise<Outcome<Bounced>> {
    const outcome = await give(taker, bounce, content(bounce.head))
    if (outcome.done || outcome.failure.class === 4) return injected(outcome)
    const double = this.composeDouble(bounce, outcome.failure)
    if (double === undefined) return done({ kind: 'refused', why: outcome.failure.logText })
    const second = await give(taker, double, content(double.head + bounce.head))
    if (second.done || second.failure.class === 4) return injected(second)
    return done({ kind: 'refused', why: second.failure.logText })
  }

  /** As if the bounce had been sent, and had failed. Undefined: it is a double bounce itself. */
  private composeDouble({ sender, recipient }: Bounce, { peerText }: Failure): Bounce | undefined {
    const paragraph = bounceParagraph(recipient, peerText)
    return composeBounce(sender, paragraph, this.clock.machineNow(), this.settings)
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

  /** The report, and a copy of the original. Throws if that cannot be read. */
  private async *content(id: number, report: string, copyBytes: number): AsyncGenerator<Buffer> {
    yield toBuffer(report)
    let last: Buffer = Buffer.alloc(0)
    for await (const bytes of this.source.beginning(id, copyBytes)) {
      last = bytes
      yield bytes
    }
    yield lineEndAfter(last)
  }
}

function give(taker: Taker, { sender, recipient }: Bounce, content: AsyncIterable<Buffer>): Promise<Outcome<number>> {
  return handOn(taker.open({ sender, recipients: [recipient] }, noParams), '', content)
}

function injected(outcome: Outcome<number>): Outcome<Bounced> {
  return outcome.done ? done({ kind: 'injected', qp: outcome.value }) : outcome
}

/** What we send ends in a line end, whatever the message ended in: SMTP can carry nothing else. */
function lineEndAfter(last: Buffer): Buffer {
  return Buffer.from(last.length === 0 || last.at(-1) === lineFeed ? '' : '\n')
}
