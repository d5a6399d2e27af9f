/** Control files of sender authentication: rows of table.ts. */
import { dmarcActions } from '../../protocols/dmarc/disposition.ts'
import { isNetwork } from '../../protocols/qmail/network-list.ts'
import type { ControlFile, LineCheck } from './form.ts'
import { isHost, isOf, isOneOf, isReportAddress } from './line-checks.ts'

const isForwarder: LineCheck = (line, surroundings, earlier) =>
  isNetwork(line) || isHost(line, surroundings, earlier) === undefined
    ? undefined
    : forwarderForm(line, surroundings, earlier)

const forwarderForm = isOf('an address, a network, or a host name as the DNS gives it', () => false)

export const authenticationFiles = {
  authservids: {
    form: 'list',
    meaning: 'further names, beside me, under which Authentication-Results are ours: those of others that claim one go',
    readBy: ['smtpd', 'local', 'quaver', 'qmtpd', 'qmqpd'],
    reread: 'live',
    check: isHost,
  },
  dmarcaction: {
    form: 'line',
    fallback: 'quarantine',
    meaning:
      'what is done at most with mail whose author is not who he says (DMARC): none, quarantine (into .Junk) or reject',
    readBy: ['smtpd'],
    reread: 'live',
    check: isOneOf(dmarcActions, 'what is done at most'),
  },
  dmarcreports: {
    form: 'line',
    fallback: 'known',
    meaning:
      'who gets reports about mail in the name of his domain (DMARC): known (whom mail of ours has gone to in 30 days), all or off',
    readBy: ['policy'],
    reread: 'live',
    check: isOneOf(['known', 'all', 'off'], 'who gets reports'),
  },
  dmarcreportskip: {
    form: 'list',
    meaning: 'domains, and hosts of report addresses (rua), that get no reports of ours (DMARC)',
    readBy: ['policy'],
    reread: 'live',
    check: isHost,
  },
  reportaddress: {
    form: 'line',
    meaning:
      'where others send reports about our domains (DMARC), and from where ours come; absent = dmarc-reports@me, if control/locals has me',
    readBy: ['policy', 'signer', 'remote', 'quaver'],
    reread: 'live',
    check: isReportAddress,
  },
  trustedforwarders: {
    form: 'list',
    meaning: 'addresses, networks and host names whose mail may fail DMARC, as they pass on that of others',
    readBy: ['smtpd'],
    reread: 'live',
    check: isForwarder,
  },
} as const satisfies Record<string, ControlFile>
