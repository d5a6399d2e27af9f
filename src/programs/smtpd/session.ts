/** One SMTP session: fed with bytes, it says what to reply. No socket and no timer but the clock it is given, so tests
 *  drive it directly.
 *  Knows:  the order of commands, what resets what, limits, whom to ask (the policy) and whom to give a message to.
 *  Never:  blocks, and never takes input while a message is being handed over: the rest is kept.
 *  Fails:  a peer that breaks the protocol gets its reply and is closed; a taker's failure is a reply like any other. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, type Outcome, transient } from '../../base/outcome.ts'
import { hasControl, isForeignVerb, parseCommand } from '../../protocols/smtp/command.ts'
import { xclientCapability } from '../../protocols/smtp/xclient.ts'
import { tlsVariables } from '../../protocols/qmail/tls-header.ts'
import { tlsProtocol } from '../../protocols/smtp/received.ts'
import {
  accepted,
  faultReplies,
  formatExtensions,
  goodbye,
  overdueReplies,
  refusal,
  replies,
  type Reply,
} from '../../protocols/smtp/replies.ts'
import { printable } from '../../system/log.ts'
import { Answers, type Now } from './answers.ts'
import { readAnnouncement } from './announcement.ts'
import { Content } from '../../servers/smtp/content.ts'
import type { Dialogue, DialoguePort, StartedTls } from '../../servers/door/dialogue.ts'
import type { Environment } from '../../servers/door/peer.ts'
import type { Stage, Verdict } from './gate.ts'
import { factsOf, type Subject } from './facts.ts'
import { receivedFor } from './trace.ts'
import { Patience } from '../../servers/smtp/patience.ts'
import { Input } from '../../servers/smtp/input.ts'
import { databytesOf, needsTls, offersTls, type SessionSetting } from './session-setting.ts'
import { Transaction } from './transaction.ts'

const plainReplies: ReadonlyMap<string, Reply> = new Map(
  Object.entries({ noop: replies.noopOk, vrfy: replies.verify, help: replies.help }),
)

/** Where a client must begin TLS (fixsmtpio's, and XCLIENT of a listed peer). */
const verbsBeforeTls: ReadonlySet<string> = new Set(['noop', 'ehlo', 'starttls', 'quit', 'xclient'])

export class Session implements Dialogue {
  private setting: SessionSetting
  private readonly port: DialoguePort
  private readonly databytes: number
  private readonly patience: Patience
  private readonly input = new Input()
  private readonly answers: Answers
  private helo: ByteString = ''
  private esmtp = false
  private tls: { readonly protocol: string; readonly variables: Environment } | undefined
  private transaction: Transaction | undefined
  private content: Content | undefined
  /** A promise, or the handshake, must be done first. */
  private waiting = false
  private ended = false
  private endOfInput = false
  private stopping = false

  constructor(setting: SessionSetting, port: DialoguePort) {
    this.setting = setting
    this.port = port
    this.databytes = databytesOf(setting)
    this.patience = new Patience(setting.limits, setting.clock, setting.policy.idleSecondsMax)
    const now = (): Now => {
      return { setting: this.setting, extended: this.esmtp, tlsOn: this.tls !== undefined, ended: this.ended }
    }
    const released = (): void => {
      this.goOn()
      port.progress()
    }
    const speaker = { now, released, send: (text: string) => port.send(text), end: () => this.close() }
    this.answers = new Answers(speaker, this.patience)
  }

  greet(): void {
    if (this.setting.replyRules === 'broken') return this.answers.closeWith(replies.unreadableControls)
    this.ask('connection', '', {}, () => this.answers.say(`220 ${this.setting.policy.greeting} ESMTP\r\n`))
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

  /** The peer will send no more; what it sent is still answered. */
  receiveEnd(): void {
    this.endOfInput = true
    if (!this.busy && !this.ended) this.close()
  }

  /** The connection is gone. */
  abort(): void {
    this.ended = true
    this.input.drop()
    this.content?.drop()
    this.content = undefined
  }

  /** The handshake is done: RFC 3207 §4.2, everything learnt before is forgotten. */
  tlsStarted({ version, cipher }: Pick<StartedTls, 'version' | 'cipher'>): void {
    this.tls = { protocol: tlsProtocol(version, cipher), variables: tlsVariables(version, cipher) }
    this.endTransaction()
    this.setting.gate.tlsStarted(this.tls.variables)
    this.helo = ''
    this.esmtp = false
    this.waiting = false
    this.patience.inputSeen()
  }

  /** Refuses new work; what runs is finished. */
  shutdown(): void {
    this.stopping = true
    if (!this.busy && this.content === undefined) this.answers.closeWith(replies.shuttingDown)
  }

  /** To be called every second or so. */
  tick(): void {
    if (this.ended || this.busy) return
    const overdue = this.patience.overdue(this.content?.bytes)
    if (overdue === undefined) return
    this.answers.note(overdue)
    this.answers.closeWith(overdueReplies[overdue])
  }

  /** No input is taken. */
  private get busy(): boolean {
    return this.waiting || this.answers.held
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
    const taken = this.input.takeCommand(this.setting.limits.commandLineBytesMax)
    if (taken.kind === 'hopeless') {
      this.answers.note(taken.check)
      this.answers.closeWith(taken.reply)
    } else if (taken.kind === 'line') this.command(taken.line)
    return taken.kind === 'line'
  }

  private command(line: ByteString): void {
    const { verb, argument } = parseCommand(this.answers.heard(line))
    if (this.stopping) return this.answers.closeWith(replies.shuttingDown)
    if (hasControl(argument)) return this.answers.refuse(replies.controlCharacter, 'control-character')
    if (this.tls === undefined && needsTls(this.setting) && !verbsBeforeTls.has(verb))
      return this.answers.refuse(this.setting.tlsAvailable() ? replies.tlsFirst : replies.tlsNotNow, 'starttls')
    switch (verb) {
      case 'mail':
        return this.mail(argument)
      case 'rcpt':
        return this.recipient(argument)
      case 'data':
        return this.data()
      case 'quit':
        this.answers.reply(goodbye(this.setting.policy.greeting))
        return this.close('goodbye')
      case 'starttls':
        return this.startTls(argument)
      case 'xclient':
        return this.xclient(argument)
      default:
        return this.idleCommand(verb, argument)
    }
  }

  /** Commands that bring no mail nearer: there is a limit on how many. */
  private idleCommand(verb: ByteString, argument: ByteString): void {
    if (!this.patience.bearsIdleCommand()) {
      this.answers.note('idle-commands')
      return this.answers.closeWith(replies.tooManyCommands)
    }
    switch (verb) {
      case 'helo':
      case 'ehlo':
        return this.hello(argument, verb === 'ehlo')
      case 'rset':
        this.endTransaction()
        this.setting.gate.reset()
        return this.answers.reply(replies.flushed)
      default: {
        const reply = plainReplies.get(verb)
        return reply === undefined ? this.unknown(verb) : this.answers.reply(reply)
      }
    }
  }

  private unknown(verb: ByteString): void {
    if (isForeignVerb(verb)) {
      this.answers.note('not-smtp')
      return this.answers.closeWith(replies.unimplemented)
    }
    this.answers.refuse(replies.unimplemented, 'unimplemented')
    if (!this.patience.bearsUnknownCommand()) this.answers.closeWith(replies.tooManyErrors)
  }

  private hello(name: ByteString, extended: boolean): void {
    this.helo = name
    this.esmtp = extended
    this.endTransaction()
    const { greeting } = this.setting.policy
    const startTls = this.tls === undefined && offersTls(this.setting)
    this.ask('helo', name, {}, () => {
      if (this.isOvertaken()) return
      this.answers.say(
        extended
          ? formatExtensions(greeting, this.databytes, startTls, this.setting.announce && xclientCapability)
          : `250 ${greeting}\r\n`,
      )
    })
  }

  private startTls(argument: ByteString): void {
    if (this.tls !== undefined) return this.answers.refuse(replies.tlsAlready, 'starttls')
    if (!offersTls(this.setting)) return this.unknown('starttls')
    if (argument !== '') return this.answers.refuse(replies.syntaxNoParameters, 'starttls')
    this.answers.reply(replies.startTls)
    this.input.drop()
    this.waiting = true
    this.port.startTls()
  }

  /** A listed peer says who the client behind it is: the session begins anew as that client's, by its rules. */
  private xclient(argument: ByteString): void {
    const { announce } = this.setting
    if (announce === undefined) return this.unknown('xclient')
    if (this.transaction !== undefined) return this.answers.refuse(replies.inTransaction, 'xclient')
    const read = readAnnouncement(argument, announce)
    if (read.kind === 'close') return this.answers.refuseAndEnd(read.reply, read.check, argument)
    if (read.kind === 'refuse') return this.answers.refuse(read.reply, read.check, argument)
    this.endTransaction()
    this.setting = { ...this.setting, ...read.announced }
    if (this.tls !== undefined) this.setting.gate.tlsStarted(this.tls.variables)
    this.helo = read.helo
    this.esmtp = false
    this.answers.toGreet()
    this.greet()
  }

  private mail(argument: ByteString): void {
    if (this.patience.messagesExhausted) {
      this.answers.note('messages')
      return this.answers.closeWith(replies.tooManyMessages)
    }
    const begun = Transaction.begin(argument, {
      policy: this.setting.policy,
      databytes: this.databytes,
      extended: this.esmtp,
    })
    if (!(begun instanceof Transaction)) return this.answers.refuse(begun, 'mail', argument)
    this.endTransaction()
    this.ask('mail', argument, { transaction: begun }, ({ address, skipOwnChecks }) => {
      begun.changeSender(address, skipOwnChecks)
      this.transaction = begun
      this.answers.reply(replies.mailOk)
    })
  }

  private recipient(argument: ByteString): void {
    const { transaction } = this
    if (transaction === undefined) return this.answers.refuse(replies.mailFirst, 'order')
    const suffix = this.setting.gate.environment.get('RELAYCLIENT')
    const read = transaction.readRecipient(argument, suffix, this.setting.limits.recipientsMax)
    if ('code' in read) return this.answers.refuse(read, `rcpt from ${printable(transaction.sender)}`, argument)
    this.ask('rcpt', argument, { transaction, candidate: read }, ({ address, skipOwnChecks }) => {
      const candidate = address === undefined ? read : transaction.candidate(address, suffix)
      const reply = 'code' in candidate ? candidate : transaction.addRecipient(candidate, skipOwnChecks)
      if (reply === replies.recipientOk) this.answers.reply(reply)
      else this.answers.refuse(reply, `rcpt from ${printable(transaction.sender)}`, argument)
    })
  }

  private data(): void {
    const { transaction } = this
    if (transaction === undefined) return this.answers.refuse(replies.mailFirst, 'order')
    if (transaction.recipients.length === 0) return this.answers.refuse(replies.recipientFirst, 'order')
    this.ask('data', '', { transaction }, () => {
      if (!this.isOvertaken()) this.beginContent(transaction)
    })
  }

  /** HELO, EHLO and DATA end a group of commands (RFC 2920 §3.1): a stranger who has sent more before the reply does not
   *  look at replies, and is sent away. */
  private isOvertaken(): boolean {
    const { setting, input } = this
    const isStrict = setting.mustWaitForReplies === true && !setting.gate.environment.has('RELAYCLIENT')
    if (!isStrict || input.length === 0) return false
    this.answers.note('pipelining')
    this.answers.closeWith(replies.outOfTurn)
    return true
  }

  private beginContent({ envelope, params }: Transaction): void {
    const { gate, budget, clock } = this.setting
    const received =
      receivedFor(gate.environment, this.helo, this.tls?.protocol ?? 'SMTP', clock.now()) + gate.headers()
    this.transaction = undefined
    this.patience.contentBegun()
    const message = { envelope, params, received, databytes: this.databytes }
    this.content = new Content(message, this.setting.takerFor(gate.environment), budget)
    this.answers.reply(replies.goAhead)
  }

  /** What was learnt for one transaction is not carried to the next. */
  private endTransaction(): void {
    this.transaction = undefined
    this.setting.gate.transactionEnded()
  }

  /** Asks the gate; goes on with `pass` if it lets the command pass, now or when its answer is there. */
  private ask(stage: Stage, about: ByteString, subject: Subject, pass: (verdict: Verdict) => void): void {
    const verdict = this.setting.gate.at(stage, factsOf(this.helo, subject))
    if (verdict instanceof Promise) void this.wait(verdict.then((answer) => this.obey(answer, about, pass)))
    else this.obey(verdict, about, pass)
  }

  private obey(verdict: Verdict, about: ByteString, pass: (verdict: Verdict) => void): void {
    if (this.ended) return
    const { refusal: reply, check, drop } = verdict
    for (const line of verdict.printed) this.answers.before(line)
    if (reply !== undefined)
      return drop ? this.answers.refuseAndEnd(reply, check, about) : this.answers.refuse(reply, check, about)
    if (!drop) return pass(verdict)
    this.answers.note(check, undefined, about)
    this.close()
  }

  private takeContent(content: Content): void {
    this.input.takeBytes((bytes) => content.push(bytes, 0))
    if (content.fault !== undefined) {
      this.answers.note(content.fault)
      return this.answers.closeWith(faultReplies[content.fault])
    }
    const pressure = content.ended ? this.finishContent(content) : content.pressure()
    if (pressure !== undefined) void this.wait(pressure)
  }

  private async finishContent(content: Content): Promise<void> {
    const verdict: Reply | Outcome<number> = await content.finish()
    this.content = undefined
    this.endTransaction()
    if (this.ended) return
    if ('code' in verdict) return this.answers.refuse(verdict, 'content')
    if (!verdict.done) {
      this.answers.note(`queue ${verdict.failure.logText}`)
      return this.answers.reply(refusal(verdict.failure))
    }
    this.patience.messageAccepted()
    this.answers.reply(accepted(Math.floor(this.setting.clock.now() / 1000), verdict.value))
  }

  /** No input is taken until `promise` settles. */
  private async wait(promise: Promise<void>): Promise<void> {
    this.waiting = true
    try {
      await promise
    } catch (error) {
      // Takers answer with outcomes: this is a bug, and one session's bug does not end the others.
      this.answers.note(`bug ${printable(describeError(error))}`)
      this.content?.drop()
      this.content = undefined
      this.answers.closeWith(refusal(transient('temporary failure (#4.3.0)')))
    }
    this.waiting = false
    this.goOn()
    this.port.progress()
  }

  private goOn(): void {
    if (this.busy) return
    this.patience.inputSeen()
    if (this.stopping && this.content === undefined && !this.ended) this.answers.closeWith(replies.shuttingDown)
    this.process()
  }

  private close(how: 'goodbye' | 'refused' = 'refused'): void {
    this.abort()
    this.port.close(how)
  }
}
