/** One session with a client from the network: what smtpd adds to taking messages by SMTP.
 *  Knows:  to ask the gate before a command passes, STARTTLS, XCLIENT, what resets what, the head of a message.
 *  Never:  a socket, or when input is taken (servers/smtp/session.ts).
 *  Fails:  as the gate does; its answer is a reply like any other. */
import type { ByteString } from '../../base/byte-string.ts'
import { OwnResultsEnqueuer } from '../../clients/queue/own-results-enqueuer.ts'
import { ReadingEnqueuer } from '../../clients/queue/reading-enqueuer.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import { relayedParam } from '../../contracts/envelope.ts'
import { isSenderOfOurs } from '../../protocols/smtp/address.ts'
import { type Command, isForeignVerb } from '../../protocols/smtp/command.ts'
import { xclientCapability } from '../../protocols/smtp/xclient.ts'
import { tlsVariables } from '../../protocols/qmail/tls-header.ts'
import { tlsProtocol } from '../../protocols/smtp/received.ts'
import { formatExtensions, replies, type Reply } from '../../protocols/smtp/replies.ts'
import { printable } from '../../system/log.ts'
import { Answers } from './answers.ts'
import { readAnnouncement } from './announcement.ts'
import type { Dialogue, DialoguePort, StartedTls } from '../../servers/listener/dialogue.ts'
import { refusalLine } from '../../servers/listener/log-lines.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import { SmtpSession } from '../../servers/smtp/session.ts'
import { type Refusal, type Verbs, working } from '../../servers/smtp/session-setting.ts'
import type { Stage, Verdict } from './gate.ts'
import { factsOf, type Subject } from './facts.ts'
import { receivedFor } from './trace.ts'
import { databytesOf, needsTls, offersTls, type SessionSetting } from './session-setting.ts'
import { Transaction } from './transaction.ts'

/** Where a client must begin TLS (fixsmtpio's, and XCLIENT of a listed peer). */
const verbsBeforeTls: ReadonlySet<string> = new Set(['noop', 'ehlo', 'starttls', 'quit', 'xclient'])

export class Session extends SmtpSession<Transaction> implements Dialogue {
  private static readonly ownVerbs: Verbs<Session> = new Map([
    ['starttls', working((session, argument) => session.startTls(argument))],
    ['xclient', working((session, argument) => session.xclient(argument))],
  ])
  private setting: SessionSetting
  private readonly dialoguePort: DialoguePort
  private readonly databytes: number
  private readonly answers = new Answers()
  private helo: ByteString = ''
  private relayedBy: { readonly environment: Environment; readonly key: ByteString } | undefined
  private tls: { readonly protocol: string; readonly variables: Environment } | undefined

  constructor(setting: SessionSetting, port: DialoguePort) {
    const { limits, clock, budget, policy } = setting
    const { greeting, idleSecondsMax } = policy
    super({ limits, clock, budget, greeting, idleSecondsMax }, port)
    this.setting = setting
    this.dialoguePort = port
    this.databytes = databytesOf(setting)
  }

  greet(): void {
    if (this.setting.replyRules === 'broken') return this.sendAway('controls', replies.unreadableControls)
    this.ask('connection', '', {}, () => this.say(`220 ${this.greeting} ESMTP\r\n`))
  }

  /** After the handshake: forgets everything learnt before (RFC 3207 §4.2), and repeats the checks of the connection. */
  tlsStarted({ version, cipher }: Pick<StartedTls, 'version' | 'cipher'>): void {
    this.tls = { protocol: tlsProtocol(version, cipher), variables: tlsVariables(version, cipher) }
    this.endTransaction()
    this.setting.gate.tlsStarted(this.tls.variables)
    this.helo = ''
    this.extended = false
    this.endHandshake()
    this.consult('connection', {}, (verdict) => this.obeyUngreeted(verdict))
  }

  protected override heard(command: Command, line: ByteString): Command {
    return this.answers.heard(command, line, this.setting)
  }

  protected override say(text: string): void {
    const fixed = this.answers.fixed(text, this.setting, this.tls !== undefined)
    super.say(fixed.text)
    if (fixed.ends) this.close()
  }

  protected override note(check: string, reply?: Reply, about: ByteString = ''): void {
    const { log, environment } = this.setting
    log(refusalLine(environment, check, reply, about))
  }

  /** The check's name says enough. */
  protected override noteEnd(check: string): void {
    this.note(check)
  }

  protected override get ownVerbs(): Verbs<Session> {
    return Session.ownVerbs
  }

  protected override refusalBefore(verb: ByteString): Refusal | undefined {
    if (this.tls !== undefined || !needsTls(this.setting) || verbsBeforeTls.has(verb)) return undefined
    return { reply: this.setting.tlsAvailable() ? replies.tlsFirst : replies.tlsNotNow, check: 'starttls' }
  }

  protected override isForeign(verb: ByteString, isFirstLine: boolean): boolean {
    return isForeignVerb(verb, isFirstLine)
  }

  protected override reset(): void {
    this.setting.gate.reset()
    super.reset()
  }

  protected override endTransaction(): void {
    super.endTransaction()
    this.setting.gate.transactionEnded()
  }

  protected override hello(name: ByteString): void {
    this.helo = name
    const startTls = this.tls === undefined && offersTls(this.setting)
    this.ask('helo', name, {}, () => {
      if (this.isOvertaken()) return
      this.say(
        this.extended
          ? formatExtensions(this.greeting, this.databytes, startTls, this.setting.announce && xclientCapability)
          : `250 ${this.greeting}\r\n`,
      )
    })
  }

  private startTls(argument: ByteString): void {
    if (this.tls !== undefined) return this.refuse(replies.tlsAlready, 'starttls')
    if (!offersTls(this.setting)) return this.unknown()
    if (argument !== '') return this.refuse(replies.syntaxNoParameters, 'starttls')
    this.reply(replies.startTls)
    this.beginHandshake()
    this.dialoguePort.startTls()
  }

  /** A listed peer names the client behind it: the session begins anew as that client's, under its rules. */
  private xclient(argument: ByteString): void {
    const { announce } = this.setting
    if (announce === undefined) return this.unknown()
    if (this.transaction !== undefined) return this.refuse(replies.inTransaction, 'xclient')
    const read = readAnnouncement(argument, announce)
    if (read.kind === 'close') return this.refuseAndEnd(read.reply, read.check, argument)
    if (read.kind === 'refuse') return this.refuse(read.reply, read.check, argument)
    this.endTransaction()
    this.setting = { ...this.setting, ...read.announced }
    if (this.tls !== undefined) this.setting.gate.tlsStarted(this.tls.variables)
    this.helo = read.helo
    this.extended = false
    this.answers.toGreet()
    this.greet()
  }

  protected override mail(argument: ByteString): void {
    const begun = Transaction.begin(argument, {
      policy: this.setting.policy,
      databytes: this.databytes,
      extended: this.extended,
    })
    if (!(begun instanceof Transaction)) return this.refuse(begun, 'mail', argument)
    this.endTransaction()
    this.ask('mail', argument, { transaction: begun }, ({ address, skipOwnChecks }) => {
      begun.changeSender(address, skipOwnChecks)
      if (isSenderOfOurs(begun.sender) && !this.mayRelay) {
        this.endTransaction()
        return this.refuse(replies.senderOfOurs, 'mail', argument)
      }
      this.transaction = begun
      this.reply(replies.mailOk)
    })
  }

  protected override recipient(argument: ByteString, transaction: Transaction): void {
    const suffix = this.setting.gate.variable('RELAYCLIENT')
    const read = transaction.readRecipient(argument, suffix, this.setting.limits.recipientsMax)
    if ('code' in read) return this.refuse(read, `rcpt from ${printable(transaction.sender)}`, argument)
    this.ask('rcpt', argument, { transaction, candidate: read }, ({ address, skipOwnChecks }) => {
      const candidate = address === undefined ? read : transaction.candidate(address, suffix, read)
      const reply = 'code' in candidate ? candidate : transaction.addRecipient(candidate, skipOwnChecks)
      if (reply === replies.recipientOk) this.reply(reply)
      else this.refuse(reply, `rcpt from ${printable(transaction.sender)}`, argument)
    })
  }

  protected override data(transaction: Transaction): void {
    this.ask('data', '', { transaction }, () => {
      if (!this.isOvertaken()) this.takeMessage(transaction)
    })
  }

  /** HELO, EHLO and DATA end a group of commands (RFC 2920 §3.1): a client that may not relay and sends more before the reply
   *  ignores replies, and is disconnected. */
  private isOvertaken(): boolean {
    const { setting } = this
    const isStrict = setting.mustWaitForReplies === true && !this.mayRelay
    if (!isStrict || this.pendingBytes === 0) return false
    this.sendAway('pipelining', replies.outOfTurn)
    return true
  }

  private get mayRelay(): boolean {
    return this.setting.gate.variable('RELAYCLIENT') !== undefined
  }

  /** Of one connection always the same; XCLIENT announces another. */
  private relayer(): ByteString {
    const { environment, relayerOf } = this.setting
    if (this.relayedBy?.environment !== environment) this.relayedBy = { environment, key: relayerOf(environment) }
    return this.relayedBy.key
  }

  private takeMessage(transaction: Transaction): void {
    const { gate, clock, enqueuerFor, isOwnResult } = this.setting
    const { envelope } = transaction
    const params = this.mayRelay ? new Map([...transaction.params, [relayedParam, this.relayer()]]) : transaction.params
    const head = receivedFor(gate.environment, this.helo, this.tls?.protocol ?? 'SMTP', clock.now()) + gate.headers()
    const message = { envelope, params, head, databytes: this.databytes }
    let enqueuer: Enqueuer = new OwnResultsEnqueuer(
      isOwnResult,
      (fields) => this.tellRemoved(fields),
      enqueuerFor(gate.environment),
    )
    for (const reader of gate.readers(factsOf(this.helo, { transaction })).toReversed())
      enqueuer = new ReadingEnqueuer(() => reader, enqueuer)
    this.beginContent(message, enqueuer)
  }

  private tellRemoved(fields: number): void {
    this.setting.log(`auth: ${fields} Authentication-Results in our name taken out`)
  }

  /** Asks the gate; calls `pass` if it lets the command pass, now or when its answer arrives. */
  private ask(stage: Stage, about: ByteString, subject: Subject, pass: (verdict: Verdict) => void): void {
    this.consult(stage, subject, (verdict) => this.obey(verdict, about, pass))
  }

  private consult(stage: Stage, subject: Subject, heed: (verdict: Verdict) => void): void {
    const verdict = this.setting.gate.at(stage, factsOf(this.helo, subject))
    if (verdict instanceof Promise) this.wait(verdict.then(heed))
    else heed(verdict)
  }

  private obey(verdict: Verdict, about: ByteString, pass: (verdict: Verdict) => void): void {
    if (this.ended) return
    const { refusal: reply, check, drop } = verdict
    for (const line of verdict.printed) this.answers.before(line)
    if (reply !== undefined) return drop ? this.refuseAndEnd(reply, check, about) : this.refuse(reply, check, about)
    if (!drop) return pass(verdict)
    this.note(check, undefined, about)
    this.close()
  }

  /** After STARTTLS there is no second greeting, and so no reply in its place; but a refusal must be sent: it is the last
   *  reply. */
  private obeyUngreeted(verdict: Verdict): void {
    const { refusal: reply, drop } = verdict
    if (!drop && (reply === undefined || reply.code < 400)) return
    this.answers.toGreet()
    this.obey({ ...verdict, printed: [], drop: true }, '', () => undefined)
  }

  /** Refuses and closes the connection. */
  private refuseAndEnd(reply: Reply, check: string, about: ByteString): void {
    this.note(check, reply, about)
    this.closeWith(reply)
  }
}
