/** How a session answers: replies leave whole, as control/fixsmtpio would have them; refusals are logged, and cost a peer
 *  time once it has earned too many.
 *  Knows:  which command a reply answers, what goes in front of it, whether one is held back.
 *  Never:  what is to be replied. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseCommand } from '../../protocols/smtp/command.ts'
import { formatReply, replies, type Reply } from '../../protocols/smtp/replies.ts'
import { refusalLine } from '../../servers/door/log-lines.ts'
import type { Patience } from '../../servers/smtp/patience.ts'
import { offersTls, type SessionSetting } from './session-setting.ts'

/** The session as it is now. */
export interface Now {
  readonly setting: SessionSetting
  /** The client said EHLO. */
  readonly extended: boolean
  readonly tlsOn: boolean
  readonly ended: boolean
}

/** The session's side. */
export interface Speaker {
  now(): Now
  send(text: string): void
  /** Ends the session after what was sent. */
  end(): void
  /** A reply that was held back has left: input is taken again. */
  released(): void
}

export class Answers {
  private readonly speaker: Speaker
  private readonly patience: Patience
  /** Lines that belong in front of the next reply. */
  private said = ''
  /** What the next reply answers, in fixsmtpio's words. */
  private event: ByteString = 'greeting'
  private isHeld = false

  constructor(speaker: Speaker, patience: Patience) {
    this.speaker = speaker
    this.patience = patience
  }

  /** A refusal waits to be said; until then no input is taken. */
  get held(): boolean {
    return this.isHeld
  }

  /** A continuation line of the next reply. */
  before(line: ByteString): void {
    this.said += `${line}\r\n`
  }

  /** The next reply greets a client. */
  toGreet(): void {
    this.event = 'greeting'
  }

  /** A command has come: as it is to be looked at. `NOOP ` in front makes it harmless. */
  heard(line: ByteString): ByteString {
    this.event = parseCommand(line).verb
    const { replyRules, gate } = this.speaker.now().setting
    return typeof replyRules === 'object' ? replyRules.prepend(this.event, gate.environment) + line : line
  }

  reply(reply: Reply): void {
    this.say(formatReply(reply, this.speaker.now().extended))
  }

  /** One reply, whole, with its line ends. */
  say(text: string): void {
    const whole = this.said + text
    this.said = ''
    const { setting, tlsOn } = this.speaker.now()
    const { replyRules, gate } = setting
    if (typeof replyRules !== 'object') return this.speaker.send(whole)
    const tls = { offered: offersTls(setting), on: tlsOn }
    const fixed = replyRules.fix(this.event, gate.environment, tls, whole)
    this.speaker.send(fixed.text)
    if (fixed.ends) this.speaker.end()
  }

  refuse(reply: Reply, check: string, about: ByteString = ''): void {
    this.note(check, reply, about)
    const manner = reply.code >= 500 ? this.patience.error() : 'at-once'
    if (manner === 'delayed') return this.replyLater(reply)
    this.reply(reply)
    if (manner === 'last') this.closeWith(replies.tooManyErrors)
  }

  /** A refusal that is the last word. */
  refuseAndEnd(reply: Reply, check: string, about: ByteString): void {
    this.note(check, reply, about)
    this.closeWith(reply)
  }

  /** The last word. */
  closeWith(reply: Reply): void {
    if (this.speaker.now().ended) return
    this.reply(reply)
    this.speaker.end()
  }

  note(check: string, reply?: Reply, about: ByteString = ''): void {
    const { log, environment } = this.speaker.now().setting
    log(refusalLine(environment, check, reply, about))
  }

  private replyLater(reply: Reply): void {
    this.isHeld = true
    const { clock, limits } = this.speaker.now().setting
    clock.after(limits.errorDelayMilliseconds, () => {
      if (this.speaker.now().ended) return
      this.isHeld = false
      this.reply(reply)
      this.speaker.released()
    })
  }
}
