/** The services that `login` serves before their logins, and their protocols; names and ports are in contracts/services.ts. */
import type { LoginService } from '../../contracts/services.ts'
import { errorReply } from '../../protocols/pop3/replies.ts'
import { formatReply, type Reply } from '../../protocols/smtp/replies.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import type { Control } from '../../stores/control/control.ts'
import { Pop3Login } from './pop3-login.ts'
import type { LoginProtocol } from './protocol.ts'
import { SmtpLogin } from './smtp-login.ts'

export interface Front {
  /** After this many failed logins the connection ends. */
  readonly triesMax: number
  /** Formats a refusal by the listener. */
  say(reply: Reply): string
  open(control: Control, environment: Environment): LoginProtocol
}

export const fronts: Readonly<Record<LoginService, Front>> = {
  submission: {
    triesMax: 5,
    say: (reply) => formatReply(reply, false),
    open: (control, environment) =>
      new SmtpLogin({
        greeting: control.line('smtpgreeting'),
        databytes: control.number('databytes'),
        capabilities: control.list('smtpcapabilities'),
        brokenClients: environment.has('AUTHUP_SASL_BROKEN_CLIENTS'),
      }),
  },
  pop3: {
    triesMax: 3,
    // The listener's refusals are worded for SMTP.
    say: ({ code, text }) => errorReply(`${code < 500 ? '[SYS/TEMP]' : '[SYS/PERM]'} ${text.replace(/^smtp /, '')}`),
    open: (control) =>
      new Pop3Login({
        greeting: control.line('pop3greeting'),
        capabilities: control.list('pop3capabilities') ?? [],
      }),
  },
}
