/** How a session's words leave: whole replies, as control/fixsmtpio would have them.
 *  Knows:  which command a reply answers, what goes in front of it. Never: what a reply says. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseCommand } from '../../protocols/smtp/command.ts'
import type { SessionSetting } from './session-setting.ts'

type Rules = Pick<SessionSetting, 'replyRules' | 'gate' | 'tlsAvailable'>

export class Speech {
  private readonly send: (text: string) => void
  /** Lines that belong in front of the next reply. */
  private said = ''
  /** What the next reply answers, in fixsmtpio's words. */
  private event: ByteString = 'greeting'

  constructor(send: (text: string) => void) {
    this.send = send
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
  heard(line: ByteString, { replyRules, gate }: Rules): ByteString {
    this.event = parseCommand(line).verb
    return typeof replyRules === 'object' ? replyRules.prepend(this.event, gate.environment) + line : line
  }

  /** One reply, whole. True: by a rule, the session ends after it. */
  say(text: string, { replyRules, gate, tlsAvailable }: Rules, tlsOn: boolean): boolean {
    const whole = this.said + text
    this.said = ''
    if (typeof replyRules !== 'object') {
      this.send(whole)
      return false
    }
    const fixed = replyRules.fix(this.event, gate.environment, { offered: tlsAvailable(), on: tlsOn }, whole)
    this.send(fixed.text)
    return fixed.ends
  }
}
