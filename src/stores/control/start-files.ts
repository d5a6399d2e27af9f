/** Control files that say what runs, as whom, and where it listens: rows of table.ts. */
import { logForms } from '../../system/log-form.ts'
import type { ControlFile } from './form.ts'
import { isListenAddress, isOneOf, isRoleAccount } from './line-checks.ts'

/** What runs beside the queue. */
export type ServiceName = 'smtp' | 'submission' | 'pop3' | 'local' | 'remote' | 'qread'
export const serviceNames: readonly ServiceName[] = ['smtp', 'submission', 'pop3', 'local', 'remote', 'qread']

export const startFiles = {
  accounts: {
    form: 'map',
    meaning: 'role:account, where a role is not to run as its usual account',
    readBy: ['start'],
    reread: 'start',
    check: isRoleAccount,
  },
  services: {
    form: 'list',
    meaning: 'what runs beside the queue: smtp, submission, pop3, local, remote; absent = all',
    readBy: ['start'],
    reread: 'start',
    check: isOneOf(serviceNames, 'services'),
  },
  log: {
    form: 'line',
    meaning: 'where a system home logs: stderr, stamp, syslog, journal or json; absent = stderr',
    readBy: ['start'],
    reread: 'start',
    check: isOneOf(logForms, 'where the log goes'),
  },
  'listen-smtp': {
    form: 'list',
    meaning: 'where SMTP listens, address:port or [address]:port; absent = 0.0.0.0:25 and [::]:25, demo 127.0.0.1:2525',
    readBy: ['start'],
    reread: 'start',
    check: isListenAddress,
  },
  'listen-qread': {
    form: 'list',
    meaning: 'where the queue is shown to whoever connects, such as 127.0.0.1:20025; absent = nowhere',
    readBy: ['start'],
    reread: 'start',
    check: isListenAddress,
  },
} as const satisfies Record<string, ControlFile>
