/** A session that takes messages by SMTP: fed with bytes, it says what to reply. It has no socket, and no timer but the clock
 *  it is given, so tests drive it directly. Each program extends it.
 *  Knows:  the order of commands, limits, when input is taken, what of a session is finished before it ends.
 *  Never:  decides who may send what to whom, or which queue takes it. Never blocks, and never takes input while it waits for a
 *          promise, a handshake or the delay of a refusal: the rest is kept.
 *  Fails:  a peer that breaks the protocol gets its reply and is closed; an enqueuer's failure is a reply like any other. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, type Outcome, transient } from '../../base/outcome.ts'
import type { ContentBudget } from '../../clients/queue/content-budget.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import { type Command, hasControl, parseCommand } from '../../protocols/smtp/command.ts'
import { type ContentDecoder, DataDecoder } from '../../protocols/smtp/data-decoder.ts'
import {
  accepted,
  faultReplies,
  formatReply,
  goodbye,
  overdueReplies,
  refusal,
  replies,
  type Reply,
} from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import { printable } from '../../system/log.ts'
import { Content, type Message } from './content.ts'
import { Input } from './input.ts'
import type { SmtpLimits } from './limits.ts'
import { PeerLimits } from './peer-limits.ts'
import {
  idle,
  type Refusal,
  type SmtpSessionPort,
  type SmtpSessionSetting,
  type Verb,
  type Verbs,
  working,
} from './session-setting.ts'

interface Recipients {
  readonly recipients: readonly ByteString[]
}

const none = new Map<ByteString, Verb<never>>()

export abstract class SmtpSession<Transaction extends Recipients> {
  /** RFC 5321 §4.1.1. */
  private static readonly verbs: Verbs<SmtpSession<Recipients>> = new Map([
    ['helo', idle((session, name) => session.greetedBy(name, false))],
    ['ehlo', idle((session, name) => session.greetedBy(name, true))],
    ['mail', working((session, argument) => session.beginMail(argument))],
    ['rcpt', working((session, argument) => session.inTransaction((begun) => session.recipient(argument, begun)))],
    ['data', working((session) => session.inTransaction((begun) => session.beginData(begun)))],
    ['rset', idle((session) => session.reset())],
    ['noop', idle((session) => session.reply(replies.noopOk))],
    ['vrfy', idle((session) => session.reply(replies.verify))],
    ['help', idle((session) => session.reply(replies.help))],
    ['quit', working((session) => session.quit())],
  ])
  protected readonly greeting: ByteString
  /** The client said EHLO. */
  protected extended = false
  /** From MAIL that was accepted until it is reset, or its content is over. */
  protected transaction: Transaction | undefined
  /** No more replies are sent. */
  protected ended = false
  private readonly port: SmtpSessionPort
  private readonly limits: SmtpLimits
  private readonly clock: Clock
  private readonly budget: ContentBudget
  private readonly peerLimits: PeerLimits
  private readonly input = new Input()
  private content: Content | undefined
  /** A promise, or the handshake, must be done first. */
  private waiting = false
  private work: Promise<void> = Promise.resolve()
  /** A refusal waits to be said. */
  private held = false
  private endOfInput = false
  private isFirstLine = true
  private stopping = false

  constructor(setting: SmtpSessionSetting, port: SmtpSessionPort) {
    this.greeting = setting.greeting
    this.port = port
    this.limits = setting.limits
    this.clock = setting.clock
    this.budget = setting.budget
    this.peerLimits = new PeerLimits(setting.limits, setting.clock, setting.idleSecondsMax)
  }

  /** Verbs that the program adds. */
  protected get ownVerbs(): Verbs<this> {
    return none
  }
  protected abstract mail(argument: ByteString): void
  protected abstract recipient(argument: ByteString, transaction: Transaction): void
  /** DATA, with at least one recipient. */
  protected abstract data(transaction: Transaction): void
  /** HELO, or EHLO: `extended` says which. */
  protected abstract hello(name: ByteString): void
  /** Logs a check's name, the reply that is given, and the text that it is about. */
  protected abstract note(check: string, reply?: Reply, about?: ByteString): void
  /** Logs why the session ends, with this reply as its last. */
  protected abstract noteEnd(check: string, reply: Reply): void

  receive(bytes: Buffer): void {
    if (this.ended) return
    this.peerLimits.inputSeen()
    this.input.push(bytes)
    this.process()
  }

  /** Bytes received and not looked at yet. */
  get pendingBytes(): number {
    return this.input.length
  }

  /** The input is a message's content. */
  get takesContent(): boolean {
    return this.content !== undefined
  }

  /** Resolves when nothing is under way any more; for a session that has ended. */
  get settled(): Promise<void> {
    return this.work
  }

  /** The peer will send no more; what it sent is still answered. */
  receiveEnd(): void {
    this.endOfInput = true
    if (!this.busy && !this.ended) this.close()
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
    if (!this.busy && this.content === undefined) this.closeWith(replies.shuttingDown)
  }

  /** To be called every second or so. */
  tick(): void {
    if (this.ended || this.busy) return
    const overdue = this.peerLimits.overdue(this.content?.bytes)
    if (overdue === undefined) return
    this.note(overdue)
    this.closeWith(overdueReplies[overdue])
  }

  /** The command to act on, for a program that changes some. */
  protected heard(command: Command, _line: ByteString): Command {
    return command
  }

  /** Why the command is refused before it is looked at. */
  protected refusalBefore(_verb: ByteString): Refusal | undefined {
    return undefined
  }

  /** The verb is another protocol's: the session ends. */
  protected isForeign(_verb: ByteString, _isFirstLine: boolean): boolean {
    return false
  }

  protected unknown(): void {
    this.refuse(replies.unimplemented, 'unimplemented')
    if (!this.peerLimits.allowsUnknownCommand()) this.closeWith(replies.tooManyErrors)
  }

  /** RSET. */
  protected reset(): void {
    this.endTransaction()
    this.reply(replies.flushed)
  }

  /** What was learnt for one transaction is not carried to the next. */
  protected endTransaction(): void {
    this.transaction = undefined
  }

  /** The transaction has all it needs: its content comes. */
  protected beginContent(message: Message, enqueuer: Enqueuer, decoder: ContentDecoder = new DataDecoder()): void {
    this.peerLimits.contentBegun()
    this.content = new Content(message, decoder, enqueuer, this.budget)
    this.reply(replies.goAhead)
  }

  /** What became of a message whose content was begun; the session may have ended. Undefined: its end did not come. */
  protected messageOver(_envelope: Envelope, _verdict: Reply | Outcome<number> | undefined): void {}

  /** Input that came after STARTTLS is dropped. */
  protected beginHandshake(): void {
    this.input.drop()
    this.waiting = true
  }

  protected endHandshake(): void {
    this.waiting = false
    this.peerLimits.inputSeen()
  }

  /** No input is taken until `promise` settles. */
  protected wait(promise: Promise<void>): void {
    this.waiting = true
    this.work = this.goOnAfter(promise)
  }

  /** Whole replies, with their line ends. */
  protected say(text: string): void {
    this.port.send(text)
  }

  protected reply(reply: Reply): void {
    this.say(formatReply(reply, this.extended))
  }

  /** After too many refusals each further one is delayed. */
  protected refuse(reply: Reply, check: string, about: ByteString = ''): void {
    this.note(check, reply, about)
    const manner = reply.code >= 500 ? this.peerLimits.error() : 'at-once'
    if (manner === 'delayed') return this.replyLater(reply)
    this.reply(reply)
    if (manner === 'last') this.closeWith(replies.tooManyErrors)
  }

  protected sendAway(check: string, reply: Reply): void {
    this.noteEnd(check, reply)
    this.closeWith(reply)
  }

  /** The last word. */
  protected closeWith(reply: Reply): void {
    if (this.ended) return
    this.reply(reply)
    this.close()
  }

  protected close(how: 'goodbye' | 'refused' = 'refused'): void {
    this.abort()
    this.port.close(how)
  }

  /** No input is taken. */
  private get busy(): boolean {
    return this.waiting || this.held
  }

  private process(): void {
    while (!this.busy && !this.ended && this.input.length > 0) {
      if (this.content !== undefined) this.takeContent(this.content)
      else if (!this.takeCommand()) break
    }
    if (this.endOfInput && !this.busy && !this.ended) this.close()
  }

  /** False if the input holds no whole line. */
  private takeCommand(): boolean {
    const taken = this.input.takeCommand(this.limits.commandLineBytesMax)
    if (taken.kind === 'hopeless') this.sendAway(taken.check, taken.reply)
    else if (taken.kind === 'line') this.line(taken.line)
    return taken.kind === 'line'
  }

  private line(line: ByteString): void {
    const { verb, argument } = this.heard(parseCommand(line), line)
    const { isFirstLine } = this
    this.isFirstLine = false
    if (this.stopping) return this.closeWith(replies.shuttingDown)
    if (this.isForeign(verb, isFirstLine)) return this.sendAway('not-smtp', replies.unimplemented)
    if (hasControl(argument)) return this.refuse(replies.controlCharacter, 'control-character')
    const refused = this.refusalBefore(verb)
    if (refused !== undefined) return this.refuse(refused.reply, refused.check)
    const known = this.ownVerbs.get(verb) ?? SmtpSession.verbs.get(verb)
    if (known?.isIdle !== false && !this.peerLimits.allowsIdleCommand())
      return this.sendAway('idle-commands', replies.tooManyCommands)
    if (known === undefined) this.unknown()
    else known.act(this, argument)
  }

  private greetedBy(name: ByteString, extended: boolean): void {
    this.extended = extended
    this.endTransaction()
    this.hello(name)
  }

  private beginMail(argument: ByteString): void {
    if (this.peerLimits.messagesExhausted) this.sendAway('messages', replies.tooManyMessages)
    else this.mail(argument)
  }

  private inTransaction(act: (transaction: Transaction) => void): void {
    if (this.transaction === undefined) this.refuse(replies.mailFirst, 'order')
    else act(this.transaction)
  }

  private beginData(transaction: Transaction): void {
    if (transaction.recipients.length === 0) this.refuse(replies.recipientFirst, 'order')
    else this.data(transaction)
  }

  private quit(): void {
    this.reply(goodbye(this.greeting))
    this.close('goodbye')
  }

  private takeContent(content: Content): void {
    this.input.takeBytes((bytes) => content.push(bytes, 0))
    if (content.fault !== undefined) return this.sendAway(content.fault, faultReplies[content.fault])
    const pressure = content.ended ? this.finishContent(content) : content.pressure()
    if (pressure !== undefined) this.wait(pressure)
  }

  private async finishContent(content: Content): Promise<void> {
    const verdict = await content.finish()
    this.content = undefined
    this.endTransaction()
    this.messageOver(content.envelope, verdict)
    if (this.ended) return
    if ('code' in verdict) return this.refuse(verdict, 'content')
    if (!verdict.done) {
      this.note(`queue ${verdict.failure.logText}`)
      return this.reply(refusal(verdict.failure))
    }
    this.peerLimits.messageAccepted()
    this.reply(accepted(Math.floor(this.clock.now() / 1000), verdict.value))
  }

  private dropContent(): void {
    const { content } = this
    if (content === undefined) return
    this.content = undefined
    content.drop()
    // After its end only its enqueuer knows the outcome.
    if (!content.ended) this.messageOver(content.envelope, undefined)
  }

  private async goOnAfter(promise: Promise<void>): Promise<void> {
    try {
      await promise
    } catch (error) {
      // Expected failures come as outcomes: an exception is a bug, and one session's bug does not end the others.
      this.note(`bug ${printable(describeError(error))}`)
      this.closeWith(refusal(transient('3.0', 'temporary failure')))
    }
    this.waiting = false
    this.goOn()
  }

  private replyLater(reply: Reply): void {
    this.held = true
    this.clock.after(this.limits.errorDelayMilliseconds, () => {
      if (this.ended) return
      this.held = false
      this.reply(reply)
      this.goOn()
    })
  }

  private goOn(): void {
    if (!this.busy) {
      this.peerLimits.inputSeen()
      if (this.stopping && this.content === undefined) this.closeWith(replies.shuttingDown)
      this.process()
    }
    this.port.progress()
  }
}
