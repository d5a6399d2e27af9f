/** One message to one server: MAIL, RCPT for each recipient, DATA, the content (RFC 5321 §3.3), pipelined where offered
 *  (RFC 2920): then MAIL, all RCPT and DATA leave in one write.
 *  Knows:  the order, which answers stop it, what is reported.
 *  Never:  sends the final dot after a content that was cut short.
 *  Fails:  with qmail-remote's reports; `unanswered` if the server said nothing to the transaction's first command. */
import type { ByteString } from '../../base/byte-string.ts'
import { remoteTexts } from '../../protocols/qmail/remote-texts.ts'
import {
  hasEightBitAddress,
  mailCommand,
  type OutgoingEnvelope,
  recipientCommand,
} from '../../protocols/smtp/client-commands.ts'
import { ContentEncoder, endOfContent } from '../../protocols/smtp/content-encoder.ts'
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

/** What qmail-remote would have written: a report for each recipient that was answered, and one for the message. */
export interface TransactionReport {
  readonly kind: 'reported'
  readonly recipients: readonly ByteString[]
  readonly message: ByteString
}

export type TransactionResult =
  | TransactionReport
  /** It said nothing, or that it is closing: on a connection that was kept this is no news about the message. */
  | { readonly kind: 'unanswered'; readonly message: ByteString }

const reset = 'RSET\r\n'
const data = 'DATA\r\n'
/** 421: the server is closing this connection (RFC 5321 §3.8). */
const closing = 421
const goAhead = 354
/** 3xx is no answer to MAIL, RCPT or the final dot: not understood, so temporary. */
const rejected = 300

export async function transact(
  session: Session,
  envelope: OutgoingEnvelope,
  content: OpenContent,
  resetFirst: boolean,
): Promise<TransactionResult> {
  return await new Transaction(session, envelope, resetFirst).run(content)
}

class Transaction {
  private readonly session: Session
  private readonly connection: SmtpConnection
  private readonly envelope: OutgoingEnvelope
  private readonly host: string
  private readonly resetFirst: boolean
  private readonly answers: ByteString[] = []

  constructor(session: Session, envelope: OutgoingEnvelope, resetFirst: boolean) {
    this.session = session
    this.connection = session.connection
    this.envelope = envelope
    this.host = session.connection.target.address
    this.resetFirst = resetFirst
  }

  async run(content: OpenContent): Promise<TransactionResult> {
    const refusal = this.unsendable()
    if (refusal !== undefined) return this.report(refusal)
    const mail = mailCommand(this.envelope, this.session.offered)
    const recipients = this.envelope.recipients.map(recipientCommand)
    if (this.pipelining) this.sendAll([...(this.resetFirst ? [reset] : []), mail, ...recipients, data])
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
    return this.connection.reply(milliseconds)
  }

  private async mail(command: ByteString): Promise<TransactionResult | undefined> {
    if (this.resetFirst) {
      const cleared = await this.ask(reset, replyMilliseconds.mail)
      if (cleared?.code !== 250) return this.unanswered(remoteTexts.died(this.host))
    }
    const reply = await this.ask(command, replyMilliseconds.mail)
    if (reply === undefined) return this.unanswered(remoteTexts.died(this.host))
    if (reply.code < rejected) return undefined
    const report = remoteTexts.senderRejected(this.host, reply.code, reply.text)
    if (reply.code === closing) return this.unanswered(report)
    if (this.pipelining) await this.skip(this.envelope.recipients.length)
    return this.report(report)
  }

  private async recipients(commands: readonly ByteString[]): Promise<TransactionResult | undefined> {
    for (const command of commands) {
      const reply = await this.ask(command, replyMilliseconds.recipient)
      if (reply === undefined) return this.report(remoteTexts.died(this.host))
      this.answers.push(reply.code < rejected ? 'r' : remoteTexts.recipientRejected(this.host, reply.code, reply.text))
    }
    if (this.answers.includes('r')) return undefined
    if (this.pipelining) await this.skip(0)
    return this.report(remoteTexts.givingUp(this.host))
  }

  private async data(): Promise<TransactionResult | undefined> {
    const reply = await this.ask(data, replyMilliseconds.data)
    if (reply === undefined) return this.report(remoteTexts.died(this.host))
    if (reply.code === goAhead) return undefined
    // Only 354 invites content: after another word of success nobody knows what the server will take its lines for.
    if (reply.code < rejected) this.connection.drop()
    return this.report(remoteTexts.dataRejected(this.host, reply.code, reply.text))
  }

  private async sendContent(content: OpenContent): Promise<TransactionResult> {
    const trouble = await this.writeContent(content)
    if (trouble !== undefined) {
      this.connection.drop()
      return this.report(trouble)
    }
    const reply = await this.connection.reply(replyMilliseconds.finalDot)
    if (reply === undefined) return this.report(remoteTexts.diedAfterDot(this.host))
    if (reply.code >= rejected) return this.report(remoteTexts.contentRejected(this.host, reply.code, reply.text))
    return this.report(remoteTexts.accepted(this.host, reply.text))
  }

  /** Undefined once the final dot is on its way. */
  private async writeContent(content: OpenContent): Promise<ByteString | undefined> {
    const encoder = new ContentEncoder()
    // One chunk is held back: the last one leaves together with the final dot, and not at all if its line has no end.
    let held: Uint8Array = new Uint8Array()
    try {
      for await (const chunk of content()) {
        if (held.length > 0) this.connection.sendContent(held)
        held = encoder.encode(chunk)
        await this.connection.drained(replyMilliseconds.block)
        if (this.connection.lostBecause !== '') return remoteTexts.died(this.host)
      }
    } catch (error) {
      if (!(error instanceof ContentError)) throw error
      return remoteTexts.unreadable
    }
    if (!encoder.complete) return remoteTexts.partialLine
    this.connection.sendContent(Buffer.concat([held, Buffer.from(endOfContent)]), 1)
    return undefined
  }

  /** Pipelined commands after a refusal: their answers are read so that the connection stays in step. A server that
   *  wants content all the same is left without a final dot. */
  private async skip(recipients: number): Promise<void> {
    for (let n = 0; n < recipients; n++) await this.connection.reply(replyMilliseconds.recipient)
    const go = await this.connection.reply(replyMilliseconds.data)
    if (go === undefined || go.code < rejected || go.code === goAhead) this.connection.drop()
  }

  private unsendable(): ByteString | undefined {
    const { params } = this.envelope
    const { offered } = this.session
    if (params.has('SMTPUTF8') && !offered.smtpUtf8 && hasEightBitAddress(this.envelope))
      return remoteTexts.needsUtf8(this.host)
    if (params.has('REQUIRETLS') && !offered.requireTls) return remoteTexts.needsRequireTls(this.host)
    return undefined
  }

  private unanswered(message: ByteString): TransactionResult {
    this.connection.drop()
    return { kind: 'unanswered', message }
  }

  private report(message: ByteString): TransactionReport {
    return { kind: 'reported', recipients: this.answers, message }
  }
}
