/** One dialogue of submission after login (RFC 6409), in ofmipd's words: fed with bytes, it says what to reply.
 *  Knows:  the order of commands, what resets what, limits. Never: a socket; who may send as whom (service.ts).
 *  Fails:  a client that breaks the protocol gets its reply and is closed; a taker's failure is a reply like any other. */
import type { ByteString } from '../../../base/byte-string.ts'
import { describeError, type Failure, type Outcome, transient } from '../../../base/outcome.ts'
import { hasControl, parseCommand } from '../../../protocols/smtp/command.ts'
import {
  accepted,
  faultReplies,
  formatExtensions,
  formatReply,
  goodbye,
  overdueReplies,
  refusal,
  replies,
  type Reply,
} from '../../../protocols/smtp/replies.ts'
import { Content } from '../../../servers/smtp/content.ts'
import { Input } from '../../../servers/smtp/input.ts'
import { Patience } from '../../../servers/smtp/patience.ts'
import { printable } from '../../../system/log.ts'
import type { Service } from './service.ts'
import type { SubmissionTools } from './tools.ts'
import { readRecipient, readSender, type Transaction } from './transaction.ts'

/** The connection's side. Calls may come while it calls the session. */
export interface SessionPort {
  send(text: string): void
  /** After what was sent. The session has ended. */
  close(): void
  /** Something happened outside of a call by the connection. */
  progress(): void
}

/** Instead of ofmipd's greeting: the login has been waiting for it (RFC 4954 §4). */
const loggedIn: Reply = { code: 235, text: 'ok, go ahead (#2.0.0)' }
const plainReplies: ReadonlyMap<string, Reply> = new Map(
  Object.entries({ noop: replies.noopOk, vrfy: replies.verify, help: replies.help }),
)

export class Session {
  private readonly service: Service
  private readonly tools: SubmissionTools
  private readonly account: ByteString
  private readonly port: SessionPort
  private readonly patience: Patience
  private readonly input = new Input()
  private extended: boolean
  private transaction: Transaction | undefined
  private content: Content | undefined
  /** Of the message in `content`, for when it is not sent after all. */
  private counted = 0
  /** A promise, or the delay of an error, must be over first. */
  private waiting = false
  /** A refusal waits to be said. */
  private held = false
  private work: Promise<void> = Promise.resolve()
  private ended = false
  private endOfInput = false
  private stopping = false

  constructor(
    service: Service,
    tools: SubmissionTools,
    start: { readonly account: ByteString; readonly extended: boolean },
    port: SessionPort,
  ) {
    this.service = service
    this.tools = tools
    this.account = start.account
    this.extended = start.extended
    this.port = port
    this.patience = new Patience(tools.limits, tools.clock, Math.max(1, tools.control.number('timeoutsmtpd')))
  }

  greet(): void {
    this.port.send(this.extended ? `${loggedIn.code} 2.7.0 ${loggedIn.text}\r\n` : formatReply(loggedIn, false))
  }

  receive(bytes: Buffer): void {
    if (this.ended) return
    this.patience.inputSeen()
    this.input.push(bytes)
    this.process()
  }

  /** Bytes received and not looked at yet. */
  get pendingBytes(): number {
    return this.input.length
  }

  /** Resolves when nothing is under way any more; for a session that has ended. */
  get settled(): Promise<void> {
    return this.work
  }

  /** The client will send no more; what it sent is still answered. */
  receiveEnd(): void {
    this.endOfInput = true
    if (!this.waiting && !this.ended) this.close()
  }

  /** The connection is gone. */
  abort(): void {
    this.ended = true
    this.input.drop()
    this.dropContent()
  }

  /** Refuses new work; what runs is finished. */
  shutdown(): void {
    this.stopping = true
    if (!this.waiting && this.content === undefined) this.closeWith(replies.shuttingDown)
  }

  /** To be called every second or so. */
  tick(): void {
    if (this.ended || this.waiting) return
    const overdue = this.patience.overdue(this.content?.bytes)
    if (overdue === undefined) return
    this.note(overdue)
    this.closeWith(overdueReplies[overdue])
  }

  private process(): void {
    while (!this.waiting && !this.ended && this.input.length > 0) {
      if (this.content !== undefined) this.takeContent(this.content)
      else if (!this.takeCommand()) break
    }
    if (this.endOfInput && !this.waiting && !this.ended) this.close()
  }

  /** False if the input holds no whole line. */
  private takeCommand(): boolean {
    const taken = this.input.takeCommand(this.tools.limits.commandLineBytesMax)
    if (taken.kind === 'hopeless') {
      this.note(taken.check, taken.reply)
      this.closeWith(taken.reply)
    } else if (taken.kind === 'line') this.command(taken.line)
    return taken.kind === 'line'
  }

  private command(line: ByteString): void {
    const { verb, argument } = parseCommand(line)
    if (this.stopping) return this.closeWith(replies.shuttingDown)
    if (hasControl(argument)) return this.refuse(replies.controlCharacter, 'control-character')
    switch (verb) {
      case 'mail':
        return this.mail(argument)
      case 'rcpt':
        return this.recipient(argument)
      case 'data':
        return this.data()
      case 'quit':
        return this.closeWith(goodbye(this.service.greeting))
      default:
        return this.idleCommand(verb)
    }
  }

  /** Commands that bring no mail nearer: there is a limit on how many. */
  private idleCommand(verb: ByteString): void {
    if (!this.patience.bearsIdleCommand()) {
      this.note('idle-commands', replies.tooManyCommands)
      return this.closeWith(replies.tooManyCommands)
    }
    switch (verb) {
      case 'helo':
      case 'ehlo':
        return this.hello(verb === 'ehlo')
      case 'rset':
        this.transaction = undefined
        return this.reply(replies.flushed)
      default: {
        const reply = plainReplies.get(verb)
        if (reply !== undefined) return this.reply(reply)
        this.refuse(replies.unimplemented, 'unimplemented')
        if (!this.patience.bearsUnknownCommand()) this.closeWith(replies.tooManyErrors)
      }
    }
  }

  /** The client is who he is, and TLS is on: neither AUTH nor STARTTLS is offered. */
  private hello(extended: boolean): void {
    this.extended = extended
    this.transaction = undefined
    const { greeting, databytes } = this.service
    this.port.send(extended ? formatExtensions(greeting, databytes, false) : `250 ${greeting}\r\n`)
  }

  private mail(argument: ByteString): void {
    if (this.patience.messagesExhausted) {
      this.note('messages', replies.tooManyMessages)
      return this.closeWith(replies.tooManyMessages)
    }
    const { rewriting, databytes } = this.service
    const read = readSender(argument, rewriting.instructions, databytes, this.extended)
    if ('code' in read) return this.refuse(read, 'mail', argument)
    this.transaction = undefined
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

  private recipient(argument: ByteString): void {
    const { transaction } = this
    if (transaction === undefined) return this.refuse(replies.mailFirst, 'order')
    const read = readRecipient(argument, this.service.rewriting.instructions, this.extended)
    if (typeof read !== 'string') return this.refuse(read, 'rcpt', argument)
    const { recipients } = transaction
    if (recipients.length >= this.tools.limits.recipientsMax)
      return this.refuse(replies.tooManyRecipients, 'rcpt', argument)
    const full = this.service.refusalForNow(recipients.length + 1)
    if (full !== undefined) return this.refuse(laterReply(full), 'limit', argument)
    recipients.push(read)
    this.reply(replies.recipientOk)
  }

  private data(): void {
    const { transaction, tools, service } = this
    if (transaction === undefined) return this.refuse(replies.mailFirst, 'order')
    const { sender, params, recipients } = transaction
    if (recipients.length === 0) return this.refuse(replies.recipientFirst, 'order')
    // Other sessions of the account have sent since RCPT. What is under way counts as sent.
    const full = service.refusalForNow(recipients.length)
    if (full !== undefined) return this.refuse(laterReply(full), 'limit')
    this.counted = recipients.length
    service.count(1, this.counted)
    this.transaction = undefined
    this.patience.contentBegun()
    const message = { envelope: { sender, recipients }, params, received: '', databytes: service.databytes }
    this.content = new Content(
      message,
      service.takerFor(transaction, () => this.ended),
      tools.budget,
    )
    this.reply(replies.goAhead)
  }

  private takeContent(content: Content): void {
    this.input.takeBytes((bytes) => content.push(bytes, 0))
    if (content.fault !== undefined) {
      this.note(content.fault, faultReplies[content.fault])
      return this.closeWith(faultReplies[content.fault])
    }
    const pressure = content.ended ? this.finishContent(content) : content.pressure()
    if (pressure !== undefined) this.wait(pressure)
  }

  private async finishContent(content: Content): Promise<void> {
    const recipients = this.counted
    this.counted = 0
    const verdict: Reply | Outcome<number> = await content.finish()
    this.content = undefined
    const sent = !('code' in verdict) && verdict.done
    if (!sent) this.service.count(-1, -recipients)
    else this.tools.log(`submission ${this.who} qp ${verdict.value} to ${recipients}`)
    if (this.ended) return
    if ('code' in verdict) return this.refuse(verdict, 'content')
    if (!verdict.done) {
      this.note(`queue ${verdict.failure.logText}`)
      return this.reply(refusal(verdict.failure))
    }
    this.patience.messageAccepted()
    this.reply(accepted(Math.floor(this.tools.clock.now() / 1000), verdict.value))
  }

  /** No input is taken until `promise` settles. */
  private wait(promise: Promise<void>): void {
    this.waiting = true
    this.work = this.goOnAfter(promise)
  }

  private async goOnAfter(promise: Promise<void>): Promise<void> {
    try {
      await promise
    } catch (error) {
      // Those who are asked answer with outcomes: this is a bug, and one session's bug does not end the others.
      this.note(`bug ${printable(describeError(error))}`)
      this.dropContent()
      this.closeWith(refusal(transient('temporary failure (#4.3.0)')))
    }
    // An error's delay may have begun meanwhile.
    if (!this.held) this.goOn()
  }

  private goOn(): void {
    this.waiting = false
    this.patience.inputSeen()
    if (this.stopping && this.content === undefined) this.closeWith(replies.shuttingDown)
    this.process()
    this.port.progress()
  }

  private reply(reply: Reply): void {
    this.port.send(formatReply(reply, this.extended))
  }

  private refuse(reply: Reply, check: string, about: ByteString = ''): void {
    this.note(check, reply, about)
    const manner = reply.code >= 500 ? this.patience.error() : 'at-once'
    if (manner !== 'delayed') this.reply(reply)
    if (manner === 'last') this.closeWith(replies.tooManyErrors)
    if (manner !== 'delayed') return
    this.waiting = true
    this.held = true
    this.tools.clock.after(this.tools.limits.errorDelayMilliseconds, () => {
      this.held = false
      if (this.ended) return
      this.reply(reply)
      this.goOn()
    })
  }

  /** The last word. */
  private closeWith(reply: Reply): void {
    if (this.ended) return
    this.reply(reply)
    this.close()
  }

  private close(): void {
    this.abort()
    this.port.close()
  }

  private dropContent(): void {
    this.content?.drop()
    this.content = undefined
    if (this.counted > 0) this.service.count(-1, -this.counted)
    this.counted = 0
  }

  private get who(): string {
    return `${printable(this.account)} ${this.service.environment.get('TCPREMOTEIP') ?? 'unknown'}`
  }

  private note(check: string, reply?: Reply, about: ByteString = ''): void {
    const answer = reply === undefined ? '' : ` ${reply.code} ${reply.text}`
    this.tools.log(`submission ${this.who} ${check}${about === '' ? '' : ` ${printable(about)}`}:${answer}`)
  }
}

/** At MAIL it is 553 where the end of DATA has 554 (RFC 5321 §4.2.3). */
function senderReply(failure: Failure): Reply {
  return { ...refusal(failure), ...(failure.class === 5 ? { code: 553 } : {}) }
}

function laterReply(failure: Failure): Reply {
  return { code: 452, text: failure.peerText }
}
