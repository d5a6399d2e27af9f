/** Control files that say what runs, as whom, and where it listens: rows of table.ts. */
import { type Listener, listeners, serviceNames, services, titleOf } from '../../contracts/services.ts'
import { logForms } from '../../system/log-form.ts'
import type { ControlFile } from './form.ts'
import { isListenAddress, isOneOf, isRoleAccount } from './line-checks.ts'

/** Where each listener listens. */
type ListenFiles = { readonly [Name in Listener['file']]: ControlFile & { readonly form: 'list' } }

function listenFile({ service, tls, port, demoPort }: Listener): ControlFile & { readonly form: 'list' } {
  const way = tls === '' ? '' : tls === 'TLS' ? ' in TLS' : ` with ${tls}`
  const absent = 'onRequest' in services[service] ? 'nowhere' : `port ${port} everywhere, demo 127.0.0.1:${demoPort}`
  return {
    form: 'list',
    meaning: `where ${titleOf(service)}${way} listens, address:port or [address]:port; absent = ${absent}, empty = nowhere`,
    readBy: ['start'],
    reread: 'start',
    check: isListenAddress,
  }
}

const listenFiles = Object.fromEntries(
  listeners.map((listener) => [listener.file, listenFile(listener)]),
) as ListenFiles

export const startFiles = {
  roles: {
    form: 'map',
    meaning: 'role:account, where a role is not to run as its usual account',
    readBy: ['start'],
    reread: 'start',
    check: isRoleAccount,
  },
  services: {
    form: 'list',
    meaning: `what runs beside the queue: ${serviceNames.join(', ')}; absent = all`,
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
  ...listenFiles,
} as const satisfies Record<string, ControlFile>
