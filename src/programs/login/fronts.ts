/** The two services that `login` is the front of: their names in files, ports and logs, and how they speak. */
import type { SessionService } from '../../contracts/sessions.ts'
import { errorReply } from '../../protocols/pop3/replies.ts'
import { formatReply, type Reply } from '../../protocols/smtp/replies.ts'
import type { Environment } from '../../servers/door/peer.ts'
import type { Control } from '../../stores/control/control.ts'
import type { RuleService } from '../../stores/tcprules/files.ts'
import { Pop3Login } from './pop3-login.ts'
import type { LoginProtocol } from './protocol.ts'
import { SmtpLogin } from './smtp-login.ts'

export interface Front {
  readonly service: SessionService
  /** qmail-run's name. */
  readonly tag: 'ofmipd' | 'pop3d'
  /** In ALPN. */
  readonly title: 'smtp' | 'pop3'
  readonly ruleService: RuleService
  /** The socket on which TLS comes first. */
  readonly implicitTls: 'submissions' | 'pop3s'
  readonly concurrency: 'concurrencysubmission' | 'concurrencypop3'
  /** Then the connection ends. */
  readonly triesMax: number
  /** A refusal by the door. */
  say(reply: Reply): string
  open(control: Control, environment: Environment): LoginProtocol
}

export const fronts: Readonly<Record<SessionService, Front>> = {
  submission: {
    service: 'submission',
    tag: 'ofmipd',
    title: 'smtp',
    ruleService: 'ofmip',
    implicitTls: 'submissions',
    concurrency: 'concurrencysubmission',
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
    service: 'pop3',
    tag: 'pop3d',
    title: 'pop3',
    ruleService: 'pop3',
    implicitTls: 'pop3s',
    concurrency: 'concurrencypop3',
    triesMax: 3,
    // The door's refusals are worded for SMTP.
    say: ({ code, text }) => errorReply(`${code < 500 ? '[SYS/TEMP]' : '[SYS/PERM]'} ${text.replace(/^smtp /, '')}`),
    open: (control) =>
      new Pop3Login({
        greeting: control.line('pop3greeting'),
        capabilities: control.list('pop3capabilities') ?? [],
      }),
  },
}

export function isService(text: string): text is SessionService {
  return Object.hasOwn(fronts, text)
}
