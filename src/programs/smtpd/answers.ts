/** Sends replies: whole, after control/fixsmtpio has changed them.
 *  Knows:  which command a reply answers, and what goes in front of it. Never: chooses a reply. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Command, parseCommand } from '../../protocols/smtp/command.ts'
import { offersTls, type SessionSetting } from './session-setting.ts'

export class Answers {
  /** Lines that belong in front of the next reply. */
  private said: ByteString[] = []
  /** What the next reply answers, in fixsmtpio's words; `timeout` if it answers no command. */
  private event: ByteString = 'greeting'

  /** A continuation line of the next reply, whose code it gets: all lines of a reply have the same (RFC 5321 §4.2.1). */
  before(line: ByteString): void {
    this.said.push(`${line.slice(3)}\r\n`)
  }

  /** The next reply greets a client. */
  toGreet(): void {
    this.event = 'greeting'
  }

  /** A command has come: returns it as it is to be treated. A rule may put `NOOP ` in front to disable it. */
  heard(command: Command, line: ByteString, { replyRules, gate }: SessionSetting): Command {
    this.event = command.verb
    const inFront = typeof replyRules === 'object' ? replyRules.prepend(this.event, gate.environment) : ''
    return inFront === '' ? command : parseCommand(inFront + line)
  }

  /** One reply with its line ends, as it is to be sent. `ends`: the session ends after it. */
  fixed(text: string, setting: SessionSetting, tlsOn: boolean): { readonly text: string; readonly ends: boolean } {
    const code = text.slice(0, 3)
    const whole = this.said.map((line) => code + line).join('') + text
    const { event } = this
    this.said = []
    // DATA is answered twice: at once, and after the content.
    if (event !== 'data' || !whole.startsWith('354')) this.event = 'timeout'
    const { replyRules, gate } = setting
    if (typeof replyRules !== 'object') return { text: whole, ends: false }
    return replyRules.fix(event, gate.environment, { offered: offersTls(setting), on: tlsOn }, whole)
  }
}
