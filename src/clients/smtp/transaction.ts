/** One message to one server: MAIL, RCPT for each recipient, DATA, the content (RFC 5321 §3.3), pipelined where offered
 *  (RFC 2920): then MAIL, all RCPT and DATA leave in one write.
 *  Knows:  the order, which answers stop it.
 *  Never:  sends the final dot after a content that was cut short, or that was refused before its end.
 *  Fails:  with what the server said, or that it said nothing; the words for it are transaction-report.ts's. */
import type { ByteString } from '../../base/byte-string.ts'
import { hasMailDomain } from '../../protocols/smtp/mail-domain.ts'
import {
  hasEightBitAddress,
  mailCommand,
  type OutgoingEnvelope,
  recipientCommand,
} from '../../protocols/smtp/client-commands.ts'
import { ContentEncoder, endOfContent } from '../../protocols/smtp/content-encoder.ts'
import { closingCode, refusedFrom } from '../../protocols/smtp/refusal.ts'
import type { Reply } from '../../protocols/smtp/reply-parser.ts'
import type { SmtpConnection } from './connection.ts'
import { replyMilliseconds } from './reply-times.ts'
import type { Session } from './session.ts'

/** The content cannot be read to its end. */
export class ContentError extends Error {
  override name = 'ContentError'
}

/** Content with LF line ends. Each call starts anew: a message may be offered to several servers. The iteration throws
 *  ContentError if it cannot be completed. */
export type OpenContent = () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>

export interface TransactionResult {
  /** What was said to RCPT, in order; fewer than the recipients if it came to an end before. */
  readonly recipients: readonly Reply[]
  readonly end: TransactionEnd
}

export type TransactionEnd =
  | { readonly kind: 'accepted'; readonly reply: Reply }
  | { readonly kind: 'refused'; readonly command: 'MAIL' | 'DATA' | 'content'; readonly reply: Reply }
  | { readonly kind: 'noRecipient' }
  /** It said nothing to MAIL, or that it is closing: on a connection that was kept this says nothing about the message. */
  | { readonly kind: 'unanswered'; readonly reply: Reply | undefined }
  /** Pipelined commands were not answered, or not each: it may have lost them. */
  | { readonly kind: 'outOfStep' }
  | { readonly kind: 'died'; readonly afterDot: boolean }
  /** Our own doing: nothing was asked, or the content could not be read. */
  | {
      readonly kind: 'unsendable'
      readonly why: 'needsUtf8' | 'needsRequireTls' | 'badSender' | 'unreadable' | 'partialLine'
    }

const reset = 'RSET\r\n'
const data = 'DATA\r\n'
const goAhead = 354
/** An answer to a pipelined command takes no longer, or the command was lost; without pipelining it may. */
const pipelinedMillisecondsMax = 60_000
/** A server that takes several commands for one line says so (RFC 5321 §4.2.3: no such command, a faulty argument, not
 *  implemented, out of order). */
const misreadCodes: readonly number[] = [500, 501, 502, 503]

/** What the session was used for before. */
export interface EarlierUse {
  readonly isReused: boolean
  /** The transaction before left something behind. */
  readonly resetFirst: boolean
}

export async function transact(
  session: Session,
  envelope: OutgoingEnvelope,
  content: OpenContent,
  earlier: EarlierUse,
): Promise<TransactionResult> {
  const transaction = new Transaction(session, envelope, earlier)
  return { end: await transaction.run(content), recipients: transaction.answers }
}

class Transaction {
  readonly answers: Reply[] = []
  private readonly session: Session
  private readonly connection: SmtpConnection
  private readonly envelope: OutgoingEnvelope
  private readonly earlier: EarlierUse

  constructor(session: Session, envelope: OutgoingEnvelope, earlier: EarlierUse) {
    this.session = session
    this.connection = session.connection
    this.envelope = envelope
    this.earlier = earlier
  }

  async run(content: OpenContent): Promise<TransactionEnd> {
    const why = this.unsendable()
    if (why !== undefined) return { kind: 'unsendable', why }
    const mail = mailCommand(this.envelope, this.session.offered)
    const recipients = this.envelope.recipients.map(recipientCommand)
    if (this.pipelining) this.sendAll([...(this.earlier.resetFirst ? [reset] : []), mail, ...recipients, data])
    return (
      (await this.mail(mail)) ?? (await this.recipients(recipients)) ?? (await this.data()) ?? this.sendContent(content)
    )
  }

  private get pipelining(): boolean {
    return this.session.offered.pipelining
  }

  private sendAll(commands: readonly ByteString[]): void {
    this.connection.send(commands.join(''), commands.length)
  }

  /** A pipelined command is out already. */
  private ask(command: ByteString, milliseconds: number): Promise<Reply | undefined> {
    if (!this.pipelining) this.connection.send(command, 1)
    return this.connection.reply(this.pipelining ? Math.min(milliseconds, pipelinedMillisecondsMax) : milliseconds)
  }

  private async mail(command: ByteString): Promise<TransactionEnd | undefined> {
    if (this.earlier.resetFirst) {
      const cleared = await this.ask(reset, replyMilliseconds.mail)
      if (cleared?.code !== 250) return this.dropped({ kind: 'unanswered', reply: undefined })
    }
    const reply = await this.ask(command, replyMilliseconds.mail)
    // A connection that was kept may have ended meanwhile; one that is new may have lost what came in one packet.
    if (reply === undefined && this.pipelining && !this.earlier.isReused) return this.dropped({ kind: 'outOfStep' })
    if (reply === undefined || reply.code === closingCode) return this.dropped({ kind: 'unanswered', reply })
    if (reply.code < refusedFrom) return undefined
    if (!this.pipelining) return { kind: 'refused', command: 'MAIL', reply }
    const isInStep = await this.skip(this.envelope.recipients.length)
    return !isInStep && misreadCodes.includes(reply.code)
      ? this.dropped({ kind: 'outOfStep' })
      : { kind: 'refused', command: 'MAIL', reply }
  }

  private async recipients(commands: readonly ByteString[]): Promise<TransactionEnd | undefined> {
    for (const command of commands) {
      const reply = await this.ask(command, replyMilliseconds.recipient)
      if (reply === undefined) return this.silence()
      this.answers.push(reply)
      if (reply.code === closingCode) return this.dropped({ kind: 'died', afterDot: false })
    }
    if (this.answers.some((reply) => reply.code < refusedFrom)) return undefined
    if (this.pipelining) await this.skip(0)
    return { kind: 'noRecipient' }
  }

  private async data(): Promise<TransactionEnd | undefined> {
    const reply = await this.ask(data, replyMilliseconds.data)
    if (reply === undefined) return this.silence()
    if (reply.code === goAhead) return undefined
    if (reply.code >= refusedFrom) return { kind: 'refused', command: 'DATA', reply }
    // Only 354 invites content: after another success code the server may take its lines for commands.
    return this.dropped(this.pipelining ? { kind: 'outOfStep' } : { kind: 'refused', command: 'DATA', reply })
  }

  private async sendContent(content: OpenContent): Promise<TransactionEnd> {
    this.connection.expectReply()
    const trouble = await this.writeContent(content)
    if (trouble !== undefined) return this.dropped(trouble)
    const reply = await this.connection.lastReply(replyMilliseconds.finalDot)
    if (reply === undefined) return { kind: 'died', afterDot: true }
    return reply.code < refusedFrom ? { kind: 'accepted', reply } : { kind: 'refused', command: 'content', reply }
  }

  /** Undefined once the final dot is on its way. */
  private async writeContent(content: OpenContent): Promise<TransactionEnd | undefined> {
    const encoder = new ContentEncoder()
    // One chunk is held back: the last one leaves together with the final dot, and not at all if its line has no end.
    let held: Uint8Array = new Uint8Array()
    try {
      for await (const chunk of content()) {
        if (held.length > 0) this.connection.sendContent(held)
        held = encoder.encode(chunk)
        await this.connection.drained(replyMilliseconds.block)
        if (this.connection.hasReply || this.connection.lostBecause !== '') return await this.earlyEnd()
      }
    } catch (error) {
      if (!(error instanceof ContentError)) throw error
      return { kind: 'unsendable', why: 'unreadable' }
    }
    if (!encoder.complete) return { kind: 'unsendable', why: 'partialLine' }
    this.connection.sendContent(Buffer.concat([held, Buffer.from(endOfContent)]))
    return undefined
  }

  /** A refusal in the middle of the content is the answer to it. An acceptance of incomplete content does not count. */
  private async earlyEnd(): Promise<TransactionEnd> {
    const reply = await this.connection.reply(0)
    return reply !== undefined && reply.code >= refusedFrom
      ? { kind: 'refused', command: 'content', reply }
      : { kind: 'died', afterDot: false }
  }

  /** Pipelined commands after a refusal: their answers are read so that the connection stays in step. A server that
   *  wants content all the same is left without a final dot. False: not each was answered. */
  private async skip(recipients: number): Promise<boolean> {
    for (let n = 0; n < recipients; n++) await this.connection.reply(pipelinedMillisecondsMax)
    const go = await this.connection.reply(pipelinedMillisecondsMax)
    if (go === undefined || go.code < refusedFrom || go.code === goAhead) this.connection.drop()
    return go !== undefined
  }

  private unsendable(): Extract<TransactionEnd, { kind: 'unsendable' }>['why'] | undefined {
    const { params, sender } = this.envelope
    const { offered } = this.session
    if (!hasMailDomain(sender)) return 'badSender'
    if (params.has('SMTPUTF8') && !offered.smtpUtf8 && hasEightBitAddress(this.envelope)) return 'needsUtf8'
    if (params.has('REQUIRETLS') && !offered.requireTls) return 'needsRequireTls'
    return undefined
  }

  /** No answer where one was due. */
  private silence(): TransactionEnd {
    return this.dropped(this.pipelining ? { kind: 'outOfStep' } : { kind: 'died', afterDot: false })
  }

  private dropped(end: TransactionEnd): TransactionEnd {
    this.connection.drop()
    return end
  }
}
