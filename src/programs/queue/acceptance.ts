/** Takes a message into the queue: gives it an id, puts qmail's Received line above its head, routes its recipients, commits.
 *  The answer "done" means committed. Nothing is left behind by what failed. */
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { describeError, done, failed, type Failure, type Outcome, permanent, transient } from '../../base/outcome.ts'
import { attemptContentBytesMax } from '../../contracts/deliver.ts'
import { type Envelope, noParams, type Params, withLate } from '../../contracts/envelope.ts'
import { type Invoked, receivedInvoked } from '../../protocols/qmail/invoked.ts'
import { routeRecipient, type RoutingTables } from '../../protocols/qmail/routing.ts'
import { bounceRecipient } from '../../protocols/qmail/verp.ts'
import { hasMailDomain } from '../../protocols/smtp/mail-domain.ts'
import { type Change, type QueuedMessage, type QueueStore, StoreError } from '../../stores/queue/contract.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { QueueClock } from './queue-clock.ts'
import { MessageReader } from './read-message.ts'
import type { SenderRewriting } from './sender-rewriting.ts'
import type { Signing } from './signing.ts'
import { type Reading, StreamedMessage } from './streamed-message.ts'

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
    const completed = await this.completed(envelope, params, content, origin)
    if (!completed.done) return completed
    const prepared = this.prepare(completed.value.envelope, params, completed.value.content, origin)
    try {
      await this.ports.store.commit([prepared.change])
    } catch (error) {
      return failed(this.refusal(error))
    }
    this.accepted(prepared.message, prepared.content)
    return done(prepared.message.id)
  }

  /** Would mail from that sender be taken for that recipient? Only of SRS addresses of ours there is more to know than a name. */
  checkAddresses(sender: ByteString, recipient: ByteString): Failure | undefined {
    const home = this.ports.rewriting.home(sender, recipient)
    return home === undefined || home.done ? undefined : home.failure
  }

  /** With the sender that a forward gets, and our signatures on top of what is to be signed. */
  async completed(
    envelope: Envelope,
    params: Params,
    content: WholeContent,
    origin: Origin,
  ): Promise<Outcome<{ readonly envelope: Envelope; readonly content: WholeContent }>> {
    const reading = this.reading(envelope, params, origin)
    if (reading === undefined) return done({ envelope, content })
    // A copy: all that was received with it need not be kept while the signer is waited for.
    const body = Buffer.concat(content.body)
    reading.push(body)
    const read = await reading.finish(content.head)
    if (!read.done) return read
    const { sender, fields } = read.value
    return done({ envelope: { ...envelope, sender }, content: { head: fields + content.head, body: [body] } })
  }

  /** Undefined: nothing has to be known of what the message says. */
  private reading(envelope: Envelope, params: Params, origin: Origin): Reading | undefined {
    const { signing, rewriting } = this.ports
    const claim = signing?.begin(params, origin)
    const setting = rewriting.begin(envelope, origin)
    if (claim === undefined && setting === undefined) return undefined
    const reader = new MessageReader(claim !== undefined)
    return {
      push: (bytes) => reader.push(bytes),
      async finish(head) {
        const message = reader.finish(head)
        const sender =
          setting === undefined ? done(envelope.sender) : rewriting.senderOf(envelope.sender, message, setting)
        if (!sender.done) return sender
        const fields = signing === undefined || claim === undefined ? done('') : await signing.fields(claim, message)
        return fields.done ? done({ sender: sender.value, fields: fields.value }) : fields
      },
    }
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
    // What is larger than goes with an attempt is fetched from the store when it is wanted.
    this.ports.onAccepted(
      message,
      content !== undefined && content.length <= attemptContentBytesMax ? content : undefined,
    )
  }

  /** For content that comes chunk by chunk. */
  open(envelope: Envelope, params: Params, origin: Origin): StreamedMessage {
    const { clock, store } = this.ports
    const nowMs = clock.now()
    const id = store.newId(nowMs)
    const received = receivedInvoked(id, origin.invoked, clock.machineNow())
    return new StreamedMessage(
      id,
      envelope.sender,
      store.newBody(id),
      async (bodyBytes, givenHead, late, sender) => {
        const head = received + givenHead
        const content = { bytes: head.length + bodyBytes, inFile: true }
        const message = this.route(id, { ...envelope, sender }, withLate(params, late), content, origin.uid, nowMs)
        await store.commit([{ kind: 'add', message, content: { head, body: undefined } }])
        this.accepted(message, undefined)
      },
      (error) => this.refusal(error),
      this.flawOf(envelope, origin),
      this.reading(envelope, params, origin),
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
    return recipients
      .map((recipient) => this.checkAddresses(sender, recipient))
      .find((failure) => failure !== undefined)
  }
}
