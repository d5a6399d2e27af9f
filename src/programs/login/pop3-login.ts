/** POP3 before its login (RFC 1939 §4, 2449, 2595, 5034), as authup speaks it. USER, PASS and AUTH are taken in TLS only. */
import type { ByteString } from '../../base/byte-string.ts'
import {
  authorizationError,
  type authorizationErrors,
  formatChallenge,
  parseAuthorization,
} from '../../protocols/pop3/authorization.ts'
import { formatCapabilities } from '../../protocols/pop3/capabilities.ts'
import { endOfListing, errorReply, okReply, refusals } from '../../protocols/pop3/replies.ts'
import { encodeBase64 } from '../../protocols/sasl/base64.ts'
import type { Failing, LoginActions, LoginProtocol } from './protocol.ts'

export interface Pop3Setting {
  readonly greeting: ByteString
  /** Lines of control/pop3capabilities. */
  readonly capabilities: readonly ByteString[]
}

const failures: Readonly<Record<Failing, keyof typeof authorizationErrors>> = {
  credentials: 'failed',
  malformed: 'syntax',
  mechanism: 'unknownMechanism',
  locked: 'locked',
  temporary: 'temporary',
  unknown: 'temporary',
  'no-mailbox': 'temporary',
  busy: 'busy',
  cancelled: 'cancelled',
}

export class Pop3Login implements LoginProtocol {
  private readonly setting: Pop3Setting
  private user: ByteString | undefined
  readonly timeout: string = errorReply('[SYS/TEMP] authup timeout')
  readonly tooMany: string = errorReply('authup too many commands')
  readonly lineTooLong: string = authorizationError('lineTooLong')
  readonly shuttingDown: string = errorReply(refusals.shuttingDown)

  constructor(setting: Pop3Setting) {
    this.setting = setting
  }

  /** Without qmail-popup's stamp in angle brackets: it would promise APOP (RFC 1939 §7), and some clients would try it. */
  greeting(): string {
    return `+OK ${this.setting.greeting}\r\n`
  }

  command(line: ByteString, actions: LoginActions): void {
    const command = parseAuthorization(line)
    switch (command.kind) {
      case 'capa':
        return actions.say(this.capabilities(actions))
      case 'stls':
        if (actions.secure) return this.refuse('tlsUnavailable', actions)
        actions.say(okReply)
        return actions.startTls()
      case 'user':
        if (!actions.secure) return this.refuse('tlsFirst', actions)
        this.user = command.name
        return actions.say(okReply)
      case 'pass':
        return this.pass(command.password, actions)
      case 'auth':
        if (!actions.secure) return this.refuse('tlsFirst', actions)
        return actions.authenticate(command.mechanism, command.initial)
      case 'mechanisms':
        return actions.say(`${okReply}${actions.mechanisms.map((name) => `${name}\r\n`).join('')}${endOfListing}`)
      case 'noop':
      case 'utf8':
        return actions.say(okReply)
      case 'quit':
        actions.say(okReply)
        return actions.close()
      case 'malformed':
        return this.refuse('syntax', actions)
      case 'other':
        return this.refuse('first', actions)
    }
  }

  challenge(base64: string): string {
    return formatChallenge(base64)
  }

  failure(why: Failing): string {
    return authorizationError(failures[why])
  }

  forget(): void {
    this.user = undefined
  }

  facts() {
    return { helo: '', extended: false }
  }

  /** Sent as PLAIN (RFC 4616), so that there is one way to check a password. */
  private pass(password: ByteString, actions: LoginActions): void {
    const { user } = this
    if (!actions.secure) return this.refuse('tlsFirst', actions)
    if (user === undefined) return this.refuse('userFirst', actions)
    this.user = undefined
    if (user.includes('\0') || password.includes('\0')) return this.refuse('syntax', actions)
    actions.authenticate('PLAIN', encodeBase64(`\0${user}\0${password}`))
  }

  private capabilities({ secure, mechanisms }: LoginActions): string {
    const user = mechanisms.includes('PLAIN')
    return formatCapabilities({ startTls: !secure, user, mechanisms }, this.setting.capabilities)
  }

  private refuse(which: keyof typeof authorizationErrors, actions: LoginActions): void {
    actions.say(authorizationError(which))
  }
}
