/** Submission before its login (RFC 6409, 4954, 8314), as authup speaks it: nothing is taken but EHLO, STARTTLS, AUTH.
 *  AUTH is offered in TLS only. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { hasControl, isForeignVerb, parseCommand } from '../../protocols/smtp/command.ts'
import { formatSaslChallenge, loginReplies } from '../../protocols/smtp/login-replies.ts'
import { formatReply, goodbye, replies, type Reply } from '../../protocols/smtp/replies.ts'
import type { Failing, LoginActions, LoginProtocol } from './protocol.ts'

export interface SubmissionSetting {
  readonly greeting: ByteString
  /** 0: no limit. */
  readonly databytes: number
  /** control/smtpcapabilities; undefined: the usual ones. */
  readonly capabilities: readonly ByteString[] | undefined
  /** AUTHUP_SASL_BROKEN_CLIENTS: also `AUTH=`. */
  readonly brokenClients: boolean
}

const usualCapabilities: readonly ByteString[] = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES']

const failures: Readonly<Record<Failing, Reply>> = {
  credentials: loginReplies.credentials,
  malformed: loginReplies.malformed,
  mechanism: loginReplies.mechanism,
  locked: loginReplies.locked,
  temporary: loginReplies.temporary,
  unknown: loginReplies.temporary,
  'no-mailbox': loginReplies.noMailbox,
  busy: loginReplies.busy,
  cancelled: loginReplies.cancelled,
}

export class SmtpLogin implements LoginProtocol {
  private readonly setting: SubmissionSetting
  private helo: ByteString = ''
  private extended = false
  private isFirstLine = true

  constructor(setting: SubmissionSetting) {
    this.setting = setting
  }

  greeting(): string {
    return `220 ${this.setting.greeting} ESMTP\r\n`
  }

  command(line: ByteString, actions: LoginActions): void {
    const { verb, argument } = parseCommand(line)
    const say = (reply: Reply): void => actions.say(this.format(reply))
    const isForeign = isForeignVerb(verb, this.isFirstLine)
    this.isFirstLine = false
    if (isForeign) {
      say(replies.unimplemented)
      return actions.close()
    }
    if (hasControl(argument)) return say(replies.controlCharacter)
    switch (verb) {
      case 'helo':
      case 'ehlo':
        this.helo = argument
        this.extended = verb === 'ehlo'
        return actions.say(this.extended ? this.extensions(actions) : `250 ${this.setting.greeting}\r\n`)
      case 'starttls':
        return this.startTls(argument, actions)
      case 'auth':
        return this.authenticate(argument, actions)
      case 'noop':
        return say(replies.noopOk)
      case 'rset':
        return say(replies.flushed)
      case 'help':
        return say(replies.help)
      case 'quit':
        say(goodbye(this.setting.greeting))
        return actions.close()
      default:
        return say(loginReplies.authenticationRequired)
    }
  }

  challenge(base64: string): string {
    return formatSaslChallenge(base64)
  }

  failure(why: Failing): string {
    return this.format(failures[why])
  }

  forget(): void {
    this.helo = ''
    this.extended = false
  }

  get timeout(): string {
    return this.format(loginReplies.timeout)
  }

  get tooMany(): string {
    return this.format(loginReplies.tooManyCommands)
  }

  get lineTooLong(): string {
    return this.format(loginReplies.lineTooLong)
  }

  get shuttingDown(): string {
    return this.format(replies.shuttingDown)
  }

  facts() {
    const { helo, extended } = this
    return { helo, extended }
  }

  private startTls(argument: ByteString, actions: LoginActions): void {
    if (actions.secure) return actions.say(this.format(replies.tlsAlready))
    if (argument !== '') return actions.say(this.format(replies.syntaxNoParameters))
    actions.say(this.format(replies.startTls))
    actions.startTls()
  }

  /** RFC 4954 §4. */
  private authenticate(argument: ByteString, actions: LoginActions): void {
    if (!actions.secure) return actions.say(this.format(loginReplies.tlsFirst))
    const [mechanism = '', initial, ...more] = argument.split(' ').filter((word) => word !== '')
    if (mechanism === '' || more.length > 0) return actions.say(this.format(loginReplies.malformed))
    actions.authenticate(mechanism.toUpperCase(), initial)
  }

  private extensions({ secure, mechanisms }: LoginActions): string {
    const { greeting, databytes, capabilities, brokenClients } = this.setting
    const lines: ByteString[] = [greeting]
    if (!secure) lines.push('STARTTLS')
    if (mechanisms.length > 0) {
      lines.push(`AUTH ${mechanisms.join(' ')}`)
      if (brokenClients) lines.push(`AUTH=${mechanisms.join(' ')}`)
    }
    const listed = capabilities ?? usualCapabilities
    lines.push(...listed)
    if (!listed.some((line) => lowerAscii(line).startsWith('size')))
      lines.push(databytes > 0 ? `SIZE ${databytes}` : 'SIZE')
    return lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
  }

  private format(reply: Reply): string {
    return formatReply(reply, this.extended)
  }
}
