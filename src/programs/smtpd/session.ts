/** One SMTP session: fed with bytes, it says what to reply. No socket and no timer but the clock it is given, so tests
 *  drive it directly.
 *  Knows:  the order of commands, what resets what, limits, whom to ask (the policy) and whom to give a message to.
 *  Never:  blocks, and never takes input while a message is being handed over: the rest is kept.
 *  Fails:  a peer that breaks the protocol gets its reply and is closed; a taker's failure is a reply like any other. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, type Outcome, transient } from '../../base/outcome.ts'
import { hasControl, isBinaryByte, isForeignVerb, parseCommand } from '../../protocols/smtp/command.ts'
import { tlsProtocol } from '../../protocols/smtp/received.ts'
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
} from '../../protocols/smtp/replies.ts'
import { printable } from '../../system/log.ts'
import { Content } from './content.ts'
import { receivedFor } from './peer.ts'
import { Patience } from './patience.ts'
import type { SessionPort, SessionSetting } from './session-setting.ts'
import { Transaction } from './transaction.ts'

const lf = 10

export class Session {
  private readonly setting: SessionSetting
  private readonly port: SessionPort
  private readonly databytes: number
  private readonly patience: Patience
  private input: Buffer = nothing
  private helo: ByteString = ''
  private esmtp = false
  private tls: string | undefined
  private transaction: Transaction | undefined
  private content: Content | undefined
  /** A promise, or the handshake, must be done first. */
  private waiting = false
  /** A reply is held back. */
  private delayed = false
  private ended = false
  private endOfInput = false
  private stopping = false

  constructor(setting: SessionSetting, port: SessionPort) {
    this.setting = setting
    this.port = port
    this.databytes = databytesOf(setting)
    this.patience = new Patience(setting.limits, setting.clock, setting.policy.idleSecondsMax)
  }

  greet(): void {
    this.port.send(`220 ${this.setting.policy.greeting} ESMTP\r\n`)
  }

  receive(bytes: Buffer): void {
    if (this.ended) return
    this.patience.inputSeen()
    this.input = this.input.length === 0 ? bytes : Buffer.concat([this.input, bytes])
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
    this.input = nothing
    this.content?.drop()
    this.content = undefined
  }

  /** The handshake is done: RFC 3207 §4.2, everything learnt before is forgotten. */
  tlsStarted(version: string, cipher: string): void {
    this.tls = tlsProtocol(version, cipher)
    this.transaction = undefined
    this.helo = ''
    this.esmtp = false
    this.waiting = false
    this.patience.inputSeen()
  }

  /** Refuses new work; what runs is finished. */
  shutdown(): void {
    this.stopping = true
    if (!this.busy && this.content === undefined) this.closeWith(replies.shuttingDown)
  }

  /** To be called every second or so. */
  tick(): void {
    if (this.ended || this.busy) return
    const overdue = this.patience.overdue(this.content?.bytes)
    if (overdue === undefined) return
    this.note(overdue)
    this.closeWith(overdueReplies[overdue])
  }

  /** No input is taken. */
  private get busy(): boolean {
    return this.waiting || this.delayed
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
    const { input } = this
    const end = input.indexOf(lf)
    if ((end < 0 ? input.length : end) > this.setting.limits.commandLineBytesMax) {
      this.note('line-too-long')
      this.closeWith(replies.lineTooLong)
      return false
    }
    // A TLS ClientHello or other binary protocol would not send an LF for us to wait for.
    if (isBinaryByte(input[0] ?? 0)) {
      this.note('not-smtp')
      this.closeWith(replies.unimplemented)
      return false
    }
    if (end < 0) return false
    const line = input.toString('latin1', 0, end)
    this.input = rest(input, end + 1)
    this.command(line)
    return true
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
        this.reply(goodbye(this.setting.policy.greeting))
        return this.close()
      case 'starttls':
        return this.startTls(argument)
      default:
        return this.idleCommand(verb, argument)
    }
  }

  /** Commands that bring no mail nearer: there is a limit on how many. */
  private idleCommand(verb: ByteString, argument: ByteString): void {
    if (!this.patience.bearsIdleCommand()) {
      this.note('idle-commands')
      return this.closeWith(replies.tooManyCommands)
    }
    switch (verb) {
      case 'helo':
      case 'ehlo':
        return this.hello(argument, verb === 'ehlo')
      case 'rset':
        this.transaction = undefined
        return this.reply(replies.flushed)
      case 'noop':
        return this.reply(replies.noopOk)
      case 'vrfy':
        return this.reply(replies.verify)
      case 'help':
        return this.reply(replies.help)
      default:
        return this.unknown(verb)
    }
  }

  private unknown(verb: ByteString): void {
    if (isForeignVerb(verb)) {
      this.note('not-smtp')
      return this.closeWith(replies.unimplemented)
    }
    this.refuse(replies.unimplemented, 'unimplemented')
    if (!this.patience.bearsUnknownCommand()) this.closeWith(replies.tooManyErrors)
  }

  private hello(name: ByteString, extended: boolean): void {
    this.helo = name
    this.esmtp = extended
    this.transaction = undefined
    const { greeting } = this.setting.policy
    const startTls = this.tls === undefined && this.setting.tlsAvailable()
    this.port.send(extended ? formatExtensions(greeting, this.databytes, startTls) : `250 ${greeting}\r\n`)
  }

  private startTls(argument: ByteString): void {
    if (this.tls !== undefined) return this.refuse(replies.tlsAlready, 'starttls')
    if (!this.setting.tlsAvailable()) return this.unknown('starttls')
    if (argument !== '') return this.refuse(replies.syntaxNoParameters, 'starttls')
    this.reply(replies.startTls)
    this.input = nothing
    this.waiting = true
    this.port.startTls()
  }

  private mail(argument: ByteString): void {
    if (this.patience.messagesExhausted) {
      this.note('messages')
      return this.closeWith(replies.tooManyMessages)
    }
    const begun = Transaction.begin(argument, {
      policy: this.setting.policy,
      databytes: this.databytes,
      extended: this.esmtp,
    })
    if (!(begun instanceof Transaction)) return this.refuse(begun, 'mail', argument)
    this.transaction = begun
    this.reply(replies.mailOk)
  }

  private recipient(argument: ByteString): void {
    const { transaction } = this
    if (transaction === undefined) return this.refuse(replies.mailFirst, 'order')
    const { environment, limits } = this.setting
    const verdict = transaction.addRecipient(argument, environment.get('RELAYCLIENT'), limits.recipientsMax)
    if (verdict === replies.recipientOk) this.reply(verdict)
    else this.refuse(verdict, `rcpt from ${printable(transaction.sender)}`, argument)
  }

  private data(): void {
    const { transaction } = this
    if (transaction === undefined) return this.refuse(replies.mailFirst, 'order')
    if (transaction.recipients.length === 0) return this.refuse(replies.recipientFirst, 'order')
    const { environment, budget, clock } = this.setting
    const received = receivedFor(environment, this.helo, this.tls ?? 'SMTP', clock.now())
    const { envelope, params } = transaction
    this.transaction = undefined
    this.patience.contentBegun()
    const message = { envelope, params, received, databytes: this.databytes }
    this.content = new Content(message, this.setting.takerFor(environment), budget)
    this.reply(replies.goAhead)
  }

  private takeContent(content: Content): void {
    const { input } = this
    const at = content.push(input, 0)
    if (content.fault !== undefined) {
      this.note(content.fault)
      return this.closeWith(faultReplies[content.fault])
    }
    this.input = rest(input, at)
    const pressure = content.ended ? this.finishContent(content) : content.pressure()
    if (pressure !== undefined) void this.wait(pressure)
  }

  private async finishContent(content: Content): Promise<void> {
    const verdict: Reply | Outcome<number> = await content.finish()
    this.content = undefined
    if (this.ended) return
    if ('code' in verdict) return this.refuse(verdict, 'content')
    if (!verdict.done) {
      this.note(`queue ${verdict.failure.logText}`)
      return this.reply(refusal(verdict.failure))
    }
    this.patience.messageAccepted()
    this.reply(accepted(Math.floor(this.setting.clock.now() / 1000), verdict.value))
  }

  /** No input is taken until `promise` settles. */
  private async wait(promise: Promise<void>): Promise<void> {
    this.waiting = true
    try {
      await promise
    } catch (error) {
      // Takers answer with outcomes: this is a bug, and one session's bug does not end the others.
      this.note(`bug ${printable(describeError(error))}`)
      this.content?.drop()
      this.content = undefined
      this.closeWith(refusal(transient('temporary failure (#4.3.0)')))
    }
    this.waiting = false
    this.goOn()
    this.port.progress()
  }

  private goOn(): void {
    if (this.busy) return
    this.patience.inputSeen()
    if (this.stopping && this.content === undefined && !this.ended) this.closeWith(replies.shuttingDown)
    this.process()
  }

  /** An error costs the peer time once it has made too many, and then the session. */
  private refuse(reply: Reply, check: string, about: ByteString = ''): void {
    this.note(check, reply, about)
    const manner = reply.code >= 500 ? this.patience.error() : 'at-once'
    if (manner === 'delayed') return this.replyLater(reply)
    this.reply(reply)
    if (manner === 'last') this.closeWith(replies.tooManyErrors)
  }

  private replyLater(reply: Reply): void {
    this.delayed = true
    this.setting.clock.after(this.setting.limits.errorDelayMilliseconds, () => {
      if (this.ended) return
      this.delayed = false
      this.reply(reply)
      this.goOn()
      this.port.progress()
    })
  }

  private reply(reply: Reply): void {
    this.port.send(formatReply(reply, this.esmtp))
  }

  private closeWith(reply: Reply): void {
    if (this.ended) return
    this.reply(reply)
    this.close()
  }

  private close(): void {
    this.abort()
    this.port.close()
  }

  private note(check: string, reply?: Reply, about: ByteString = ''): void {
    const ip = this.setting.environment.get('TCPREMOTEIP') ?? 'unknown'
    const answer = reply === undefined ? '' : ` ${reply.code} ${reply.text}`
    this.setting.log(`refused ${ip} ${check}${about === '' ? '' : ` ${printable(about)}`}:${answer}`)
  }
}

const nothing = Buffer.alloc(0)

/** An empty view would keep what it views in memory for as long as the session waits. */
function rest(input: Buffer, from: number): Buffer {
  return from < input.length ? input.subarray(from) : nothing
}

/** DATABYTES in the environment wins; without digits it means no limit, as in qmail. */
function databytesOf({ environment, policy }: SessionSetting): number {
  const override = environment.get('DATABYTES')
  const digits = override === undefined ? undefined : /^[0-9]{1,15}/.exec(override)?.[0]
  return override === undefined ? policy.databytes : Number(digits ?? 0)
}
