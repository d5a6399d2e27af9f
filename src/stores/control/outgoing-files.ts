/** Control files by which we know ourselves and others when mail goes out: rows of table.ts. */
import type { ControlFile } from './form.ts'
import { isPeer } from './line-checks.ts'

export const outgoingFiles = {
  moreipme: {
    form: 'list',
    meaning: 'addresses and networks that lead to this host though no interface has them, as behind a router',
    readBy: ['smtpd', 'queue', 'remote'],
    reread: 'live',
    check: isPeer,
  },
  notipme: {
    form: 'list',
    meaning: 'addresses and networks that do not lead to this host though an interface has them',
    readBy: ['smtpd', 'queue', 'remote'],
    reread: 'live',
    check: isPeer,
  },
} as const satisfies Record<string, ControlFile>
