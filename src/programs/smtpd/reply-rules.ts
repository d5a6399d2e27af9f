/** control/fixsmtpio on our own replies.
 *  Fails:  a file with an error yields no rules: the log names the line once, and no session is served. */
import type { ByteString } from '../../base/byte-string.ts'
import { applyRules, parseFixSmtpIo, requestPrepend, type Rule, unparsable } from '../../protocols/qmail/fixsmtpio.ts'
import type { Control } from '../../stores/control/control.ts'
import type { Log } from '../../system/log.ts'
import type { Environment } from '../../servers/listener/peer.ts'

export class ReplyRules {
  private readonly rules: readonly Rule[]
  private readonly greeting: ByteString

  constructor(rules: readonly Rule[], greeting: ByteString) {
    this.rules = rules
    this.greeting = greeting
  }

  /** Text to put in front of the command before it is parsed. */
  prepend(event: ByteString, environment: Environment): ByteString {
    return requestPrepend(this.rules, event, environment)
  }

  /** `text`: a whole reply with its line ends; empty if rules removed all of it. `ends`: the session ends after it. */
  fix(
    event: ByteString,
    environment: Environment,
    tls: { readonly offered: boolean; readonly on: boolean },
    text: string,
  ): { readonly text: string; readonly ends: boolean } {
    const context = { event, environment, greeting: this.greeting, tlsOffered: tls.offered, tlsOn: tls.on }
    const { lines, exitCode } = applyRules(this.rules, context, text.split('\r\n').slice(0, -1))
    return { text: lines.map((line) => `${line}\r\n`).join(''), ends: exitCode !== undefined }
  }
}

/** The present rules; parsed again when the file has changed. */
export class ReplyRulesSource {
  private readonly control: Control
  private readonly log: Log
  private text: ByteString | undefined
  private rules: readonly Rule[] | 'broken' = []

  constructor(control: Control, log: Log) {
    this.control = control
    this.log = log
  }

  /** Undefined: there is no such file. */
  current(): ReplyRules | 'broken' | undefined {
    const text = this.control.text('fixsmtpio')
    if (text === undefined) return undefined
    if (text !== this.text) {
      this.text = text
      const parsed = parseFixSmtpIo(text)
      if (!parsed.valid) this.log(`alert: ${unparsable}: line ${parsed.line}: ${parsed.reason}; nobody is served`)
      this.rules = parsed.valid ? parsed.rules : 'broken'
    }
    return this.rules === 'broken' ? 'broken' : new ReplyRules(this.rules, this.control.line('smtpgreeting'))
  }
}
