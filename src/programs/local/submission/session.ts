/** One session of submission after login (RFC 6409), in ofmipd's words: what it adds to taking messages by SMTP.
 *  Knows:  whom to ask before MAIL, RCPT and DATA pass, what is counted, what is logged.
 *  Never:  a socket; when input is taken (servers/smtp/session.ts); who may send as whom (service.ts).
 *  Fails:  as the service has it; its failure is a reply like any other. */
import type { ByteString } from '../../../base/byte-string.ts'
import type { Failure, Outcome } from '../../../base/outcome.ts'
import { type Envelope, recipientFacts } from '../../../contracts/envelope.ts'
import { loginReplies } from '../../../protocols/smtp/login-replies.ts'
import { formatExtensions, refusal, replies, type Reply } from '../../../protocols/smtp/replies.ts'
import { SmtpSession } from '../../../servers/smtp/session.ts'
import { idle, type SmtpSessionPort, type Verbs } from '../../../servers/smtp/session-setting.ts'
import { printable } from '../../../system/log.ts'
import type { Service } from './service.ts'
import type { SubmissionTools } from './tools.ts'
import { type ReadAddress, readRecipient, readSender, type Transaction } from './transaction.ts'

/** Instead of ofmipd's greeting: the login has been waiting for it (RFC 4954 §4). */
const loggedIn: Reply = { code: 235, text: 'ok, go ahead (#2.0.0)', status: '2.7.0' }

export class Session extends SmtpSession<Transaction> {
  /** AUTH comes once, and not in a transaction (RFC 4954 §4). */
  private static readonly ownVerbs: Verbs<Session> = new Map([
    ['auth', idle((session) => session.refuse(loginReplies.authenticated, 'order'))],
  ])
  private readonly service: Service
  private readonly tools: SubmissionTools
  private readonly account: ByteString

  constructor(
    service: Service,
    tools: SubmissionTools,
    start: { readonly account: ByteString; readonly extended: boolean },
    port: SmtpSessionPort,
  ) {
    const { limits, clock, budget } = tools
    const idleSecondsMax = Math.max(1, tools.control.number('timeoutsmtpd'))
    super({ limits, clock, budget, greeting: service.greeting, idleSecondsMax }, port)
    this.service = service
    this.tools = tools
    this.account = start.account
    this.extended = start.extended
  }

  greet(): void {
    this.reply(loggedIn)
  }

  /** The client is who he is, and TLS is on: neither AUTH nor STARTTLS is offered. */
  protected override hello(): void {
    const { greeting } = this
    this.say(this.extended ? formatExtensions(greeting, this.service.databytes, false) : `250 ${greeting}\r\n`)
  }

  protected override get ownVerbs(): Verbs<Session> {
    return Session.ownVerbs
  }

  protected override mail(argument: ByteString): void {
    const { rewriting, databytes } = this.service
    const read = readSender(argument, rewriting.instructions, databytes, this.extended)
    if ('code' in read) return this.refuse(read, 'mail', argument)
    this.endTransaction()
    const full = this.service.refusalForNow(1)
    if (full !== undefined) return this.refuse(laterReply(full), 'limit', argument)
    this.wait(this.begin(this.service.transactionFor(read), argument))
  }

  private async begin(begun: Promise<Outcome<Transaction>>, argument: ByteString): Promise<void> {
    const outcome = await begun
    if (this.ended) return
    if (!outcome.done) return this.refuse(senderReply(outcome.failure), 'mail', argument)
    this.transaction = outcome.value
    this.reply(replies.mailOk)
  }

  protected override recipient(argument: ByteString, transaction: Transaction): void {
    const { recipients } = transaction
    const read = readRecipient(argument, this.service.rewriting.instructions, this.extended)
    if ('code' in read) return this.refuse(read, 'rcpt', argument)
    if (recipients.length >= this.tools.limits.recipientsMax)
      return this.refuse(replies.tooManyRecipients, 'rcpt', argument)
    const full = this.service.refusalForNow(recipients.length + 1)
    if (full !== undefined) return this.refuse(laterReply(full), 'limit', argument)
    this.wait(this.take(read, transaction, argument))
  }

  private async take(read: ReadAddress, transaction: Transaction, argument: ByteString): Promise<void> {
    const refused = await this.service.recipientRefusal(read.address)
    if (this.ended) return
    if (refused !== undefined) return this.refuse(refused, 'rcpt', argument)
    const { recipients, recipientParams, originals } = transaction
    recipients.push(read.address)
    if (read.params.size > 0) recipientParams.set(read.address, read.params)
    if (read.original !== read.address) originals.set(read.address, read.original)
    this.reply(replies.recipientOk)
  }

  protected override data(transaction: Transaction): void {
    const { service } = this
    const { sender, params, recipients, recipientParams, originals } = transaction
    // Other sessions of the account have sent since RCPT. What is under way counts as sent.
    const full = service.refusalForNow(recipients.length)
    if (full !== undefined) return this.refuse(laterReply(full), 'limit')
    service.count(1, recipients.length)
    const envelope = { sender, recipients, ...recipientFacts(recipientParams, originals) }
    const message = { envelope, params, head: '', databytes: service.databytes }
    const enqueuer = service.enqueuerFor(transaction, () => this.ended)
    this.beginContent(message, enqueuer)
  }

  /** A message that was not taken after all does not count. */
  protected override messageOver({ recipients }: Envelope, verdict: Reply | Outcome<number> | undefined): void {
    const sent = verdict !== undefined && 'done' in verdict && verdict.done
    if (sent) this.tools.log(`submission ${this.who} qp ${verdict.value} to ${recipients.length}`)
    else this.service.count(-1, -recipients.length)
  }

  protected override note(check: string, reply?: Reply, about: ByteString = ''): void {
    const answer = reply === undefined ? '' : ` ${reply.code} ${reply.text}`
    this.tools.log(`submission ${this.who} ${check}${about === '' ? '' : ` ${printable(about)}`}:${answer}`)
  }

  protected override noteEnd(check: string, reply: Reply): void {
    this.note(check, reply)
  }

  private get who(): string {
    return `${printable(this.account)} ${this.service.environment.get('TCPREMOTEIP') ?? 'unknown'}`
  }
}

/** At MAIL it is 553 where the end of DATA has 554 (RFC 5321 §4.2.3). */
function senderReply(failure: Failure): Reply {
  return { ...refusal(failure), ...(failure.class === 5 ? { code: 553 } : {}) }
}

function laterReply(failure: Failure): Reply {
  return { ...refusal(failure), code: 452 }
}
