/** Takes a message into the queue: gives it an id, puts qmail's Received line above its head, routes its recipients, commits.
 *  The answer "done" means committed. Nothing is left behind by what failed. */
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { describeError, done, failed, type Failure, type Outcome, permanent, transient } from '../../base/outcome.ts'
import type { ContentSink } from '../../clients/queue/taker.ts'
import { inlineBytesMax } from '../../contracts/enqueue.ts'
import { type Envelope, noParams, type Params, withLate } from '../../contracts/envelope.ts'
import { type Invoked, receivedInvoked } from '../../protocols/qmail/invoked.ts'
import { routeRecipient, type RoutingTables } from '../../protocols/qmail/routing.ts'
import { bounceRecipient } from '../../protocols/qmail/verp.ts'
import { hasMailDomain } from '../../protocols/smtp/mail-domain.ts'
import {
  type Change,
  type NewBody,
  type QueuedMessage,
  type QueueStore,
  StoreError,
} from '../../stores/queue/contract.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { QueueClock } from './queue-clock.ts'
import type { ForwardReader, SenderRewriting } from './sender-rewriting.ts'
import type { SignedReader, Signing } from './signing.ts'

/** Who hands a message in, as told by the socket on which it came. */
export interface Origin {
  readonly invoked: Invoked
  readonly uid: number
}

export interface WholeContent {
  /** To stand below our Received line. */
  readonly head: ByteString
  readonly body: readonly Buffer[]
}

export interface AcceptancePorts {
  readonly store: QueueStore
  readonly clock: QueueClock
  readonly log: DeliveryLog
  tables(): RoutingTables
  /** Undefined: nothing is signed. */
  readonly signing: Signing | undefined
  readonly rewriting: SenderRewriting
  /** A committed message may be attempted. */
  onAccepted(message: QueuedMessage, content: Buffer | undefined): void
  onStoreTrouble(error: unknown): void
}

export class Acceptance {
  readonly bounceOrigin: Origin
  private readonly ports: AcceptancePorts

  constructor(ports: AcceptancePorts, ownUid: number) {
    this.ports = ports
    this.bounceOrigin = { invoked: 'for bounce', uid: ownUid }
  }

  /** For content that came as a whole. */
  async accept(envelope: Envelope, params: Params, content: WholeContent, origin: Origin): Promise<Outcome<number>> {
    const flaw = this.flawOf(envelope, origin)
    if (flaw !== undefined) return failed(flaw)
    const sender = this.senderOf(envelope, content, origin)
    if (!sender.done) return sender
    const signed = await this.signed(params, content, origin)
    if (!signed.done) return signed
    const prepared = this.prepare({ ...envelope, sender: sender.value }, params, signed.value, origin)
    try {
      await this.ports.store.commit([prepared.change])
    } catch (error) {
      return failed(this.refusal(error))
    }
    this.accepted(prepared.message, prepared.content)
    return done(prepared.message.id)
  }

  /** Would mail from that sender be taken for that recipient? Only of SRS addresses of ours there is more to know than a name. */
  judge(sender: ByteString, recipient: ByteString): Failure | undefined {
    const home = this.ports.rewriting.home(sender, recipient)
    return home === undefined || home.done ? undefined : home.failure
  }

  private senderOf(envelope: Envelope, content: WholeContent, origin: Origin): Outcome<ByteString> {
    const reader = this.ports.rewriting.begin(envelope, origin)
    if (reader === undefined) return done(envelope.sender)
    for (const piece of content.body) reader.push(piece)
    return reader.sender(content.head)
  }

  /** With our signatures on top, where it is to be signed; its bytes are then a copy. */
  async signed(params: Params, content: WholeContent, origin: Origin): Promise<Outcome<WholeContent>> {
    const reader = this.ports.signing?.begin(params, origin)
    if (reader === undefined) return done(content)
    const body = Buffer.concat(content.body)
    reader.push(body)
    const fields = await reader.fields(content.head)
    return fields.done ? done({ head: fields.value + content.head, body: [body] }) : fields
  }

  /** What accepting the message would commit: for a commit that does more than that. Tell `accepted` after it. */
  prepare(
    envelope: Envelope,
    params: Params,
    given: WholeContent,
    origin: Origin,
  ): { message: QueuedMessage; content: Buffer; change: Change } {
    const { store, clock } = this.ports
    const nowMs = clock.now()
    const id = store.newId(nowMs)
    const head = receivedInvoked(id, origin.invoked, clock.machineNow()) + given.head
    // The only copy: what is stored is a part of what is delivered.
    const content = Buffer.concat([toBuffer(head), ...given.body])
    const message = this.route(id, envelope, params, { bytes: content.length, inFile: false }, origin.uid, nowMs)
    const stored = { head, body: content.subarray(head.length) }
    return { message, content, change: { kind: 'add', message, content: stored } }
  }

  accepted(message: QueuedMessage, content: Buffer | undefined): void {
    const { log } = this.ports
    log.newMessage(message.id, message.bytes, message.sender, message.uid)
    // What is larger than a frame's content is fetched from the store when it is wanted.
    this.ports.onAccepted(message, content !== undefined && content.length <= inlineBytesMax ? content : undefined)
  }

  /** For content that comes chunk by chunk. */
  open(envelope: Envelope, params: Params, origin: Origin): StreamedMessage {
    const { clock, store } = this.ports
    const nowMs = clock.now()
    const id = store.newId(nowMs)
    const received = receivedInvoked(id, origin.invoked, clock.machineNow())
    return new StreamedMessage(
      id,
      store.newBody(id),
      async (bodyBytes, givenHead, late, sender) => {
        const head = received + givenHead
        const content = { bytes: head.length + bodyBytes, inFile: true }
        const sent = { ...envelope, sender: sender ?? envelope.sender }
        const message = this.route(id, sent, withLate(params, late), content, origin.uid, nowMs)
        await store.commit([{ kind: 'add', message, content: { head, body: undefined } }])
        this.accepted(message, undefined)
      },
      (error) => this.refusal(error),
      this.flawOf(envelope, origin),
      this.ports.signing?.begin(params, origin),
      this.ports.rewriting.begin(envelope, origin),
    )
  }

  /** qmail-queue's words for what went wrong with the disk. */
  private refusal(error: unknown): Failure {
    this.ports.onStoreTrouble(error)
    const isFull = error instanceof StoreError && error.kind === 'full'
    return transient(isFull ? '3.1' : '3.0', 'qq write error or disk full', `cannot commit: ${describeError(error)}`)
  }

  private route(
    id: number,
    { sender, recipients: addresses, recipientParams, originals }: Envelope,
    params: Params,
    content: { bytes: number; inFile: boolean },
    uid: number,
    nowMs: number,
  ): QueuedMessage {
    const tables = this.ports.tables()
    const recipients = addresses.map((recipient: ByteString) => {
      const home = this.ports.rewriting.home(sender, recipient)
      const route = routeRecipient(home?.done === true ? home.value : recipient, tables)
      const own = recipientParams?.get(recipient) ?? noParams
      const original = originals?.get(recipient) ?? recipient
      return { ...route, original, params: own, state: 'waiting' as const, last: undefined, lastMs: 0 }
    })
    const dueOn = (channel: 'local' | 'remote'): number | undefined =>
      recipients.some((recipient) => recipient.channel === channel) ? nowMs : undefined
    // A message to nobody is legal: it waits for its (empty) local pass, which ends it.
    const due = { local: recipients.length === 0 ? nowMs : dueOn('local'), remote: dueOn('remote') }
    return { id, bornMs: nowMs, sender, uid, ...content, params, held: false, due, recipients }
  }

  /** What no other server could be told of the envelope, whoever hands it in. A recipient of that kind fails by itself, so that
   *  the others get their mail; a sender could not even be told. A bounce has nobody to tell: it is not taken for an address
   *  that leads nowhere. */
  private flawOf({ sender, recipients }: Envelope, { invoked }: Origin): Failure | undefined {
    if (!hasMailDomain(bounceRecipient(sender)))
      return permanent('1.7', 'sorry, what is behind the @ of the sender is no domain')
    // A bounce of ours must end somewhere: it goes to what is written there.
    if (sender !== '' || invoked === 'for bounce') return undefined
    return recipients.map((recipient) => this.judge(sender, recipient)).find((failure) => failure !== undefined)
  }
}

/** `sender`: in the place of the one that was given. */
type CommitRow = (bodyBytes: number, head: ByteString, late: Params, sender: ByteString | undefined) => Promise<void>

/** A message whose body is on its way into the store. Writes are made one after another. */
export class StreamedMessage implements ContentSink {
  private readonly id: number
  private readonly commitRow: CommitRow
  private readonly refusal: (error: unknown) => Failure
  private readonly flaw: Failure | undefined
  private readonly signing: SignedReader | undefined
  private readonly rewriting: ForwardReader | undefined
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
    signing: SignedReader | undefined,
    rewriting: ForwardReader | undefined,
  ) {
    this.id = id
    this.commitRow = commitRow
    this.refusal = refusal
    this.flaw = flaw
    this.signing = signing
    this.rewriting = rewriting
    this.steps = this.step(async () => {
      this.body = await body
    }, Promise.resolve())
  }

  /** Resolves when the bytes are with the store (or have been given up with what went wrong before). */
  write(bytes: Buffer): Promise<void> {
    this.bytes += bytes.length
    this.signing?.push(bytes)
    this.rewriting?.push(bytes)
    this.steps = this.step(async () => this.body?.write(bytes), this.steps)
    return this.steps
  }

  /** Written so far. */
  get bodyBytes(): number {
    return this.bytes
  }

  /** `head`: to stand below our Received line. */
  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    const sender = this.flaw === undefined ? (this.rewriting?.sender(head) ?? done(undefined)) : failed(this.flaw)
    if (!sender.done) {
      await this.remove()
      return sender
    }
    const fields = await (this.signing?.fields(head) ?? done(''))
    if (!fields.done) {
      await this.remove()
      return fields
    }
    this.steps = this.step(async () => {
      await this.body?.seal()
      await this.commitRow(this.bytes, fields.value + head, late, sender.value)
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
