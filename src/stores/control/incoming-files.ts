/** Control files of the checks of incoming mail, and of the programs run for it: rows of table.ts. */
import type { ByteString } from '../../base/byte-string.ts'
import { fixSmtpIoForm, parseFixSmtpIo } from '../../protocols/qmail/fixsmtpio.ts'
import type { ControlFile } from './form.ts'
import {
  isAddressOrDomain,
  isDomainOrSuffix,
  isOf,
  isPattern,
  isPlugInLine,
  isSenderOrPattern,
  runs,
} from './line-checks.ts'

export const incomingFiles = {
  badmailfrom: {
    form: 'list',
    meaning: 'senders refused: user@host or @host',
    readBy: ['smtpd'],
    reread: 'live',
    check: isSenderOrPattern,
  },
  badrcptto: {
    form: 'list',
    meaning: 'recipients refused by qmail-rcptcheck-badrcptto: user@host or @host',
    readBy: ['smtpd'],
    reread: 'live',
    check: isAddressOrDomain,
  },
  badhelo: {
    form: 'list',
    meaning: 'HELO names refused by qmail-rcptcheck-qregex, if HELOHOST is set: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
    check: isPattern,
  },
  badmailfromnorelay: {
    form: 'list',
    meaning: 'senders refused by qmail-rcptcheck-qregex unless the client may relay: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
    check: isPattern,
  },
  badmailto: {
    form: 'list',
    meaning: 'recipients refused by qmail-rcptcheck-qregex: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
    check: isPattern,
  },
  badmailtonorelay: {
    form: 'list',
    meaning: 'recipients refused by qmail-rcptcheck-qregex unless the client may relay: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
    check: isPattern,
  },
  fixsmtpio: {
    form: 'list',
    meaning: `rules that change replies: ${fixSmtpIoForm}`,
    readBy: ['smtpd'],
    reread: 'live',
    check: isOf(fixSmtpIoForm, (line: ByteString) => parseFixSmtpIo(line).valid),
  },
  rcptchecks: {
    form: 'list',
    meaning: 'programs of qmail-rcptcheck, asked in order about each recipient',
    readBy: ['smtpd'],
    reread: 'live',
    check: runs('recipient check'),
  },
  signatures: {
    form: 'list',
    meaning: 'starts of MIME parts refused by qmail-qfilter-viruscan',
    readBy: ['smtpd', 'exec', 'local', 'qmtpd', 'qmqpd'],
    reread: 'live',
  },
  localfilters: {
    form: 'list',
    meaning: 'filter programs that mail from relay clients passes, in order',
    readBy: ['smtpd', 'qmtpd', 'qmqpd'],
    reread: 'live',
    check: runs('filter'),
  },
  smtpfilters: {
    form: 'list',
    meaning: 'filter programs that mail from the network passes, in order; absent = qmail-qfilter-addtlsheader',
    readBy: ['smtpd'],
    reread: 'live',
    check: runs('filter'),
  },
  smtpplugins: {
    form: 'list',
    meaning: 'plug-ins of SMTP sessions, in sections [connection] [helo] [mail] [rcpt] [data]',
    readBy: ['smtpd'],
    reread: 'live',
    check: isPlugInLine,
  },
  'greylist/exemptrcpthosts': {
    form: 'list',
    meaning: 'recipient domains that are not greylisted',
    readBy: ['smtpd'],
    reread: 'live',
    check: isDomainOrSuffix,
  },
  'greylist/exemptrcpts': {
    form: 'list',
    meaning: 'recipients that are not greylisted',
    readBy: ['smtpd'],
    reread: 'live',
    check: isAddressOrDomain,
  },
} as const satisfies Record<string, ControlFile>
