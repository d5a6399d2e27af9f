/** Every control file, declared once: readers, `quaver control` and the manual are made from this table.
 *  A default that depends on another file is a function of the reader. Sizes are bytes, times seconds. */
import type { ByteString } from '../../base/byte-string.ts'
import { dnsListFiles } from './dns-list-files.ts'

export type Form = 'line' | 'number' | 'list' | 'map'
/** `live`: re-read when changed and settled for a second. `reload`: at HUP. `start`: when its program starts. */
export type Reread = 'live' | 'reload' | 'start'

export interface ControlFile {
  readonly form: Form
  /** Line and number: the value if the file is absent. `me`: control/me, or the file's own name if that is absent too. */
  readonly fallback?: ByteString | number | 'me'
  readonly unit?: 'bytes' | 'seconds' | 'deliveries' | 'connections'
  readonly meaning: string
  readonly readBy: readonly string[]
  readonly reread: Reread
  /** Its content is never printed, and the file must not be readable by others. */
  readonly secret?: true
}

export const controlFiles = {
  me: {
    form: 'line',
    meaning: 'name of this host; other files fall back to it',
    readBy: ['smtpd', 'policy', 'queue', 'lspawn', 'remote', 'quaver'],
    reread: 'start',
  },
  accounts: {
    form: 'map',
    meaning: 'role:account, where a role is not to run as its usual account',
    readBy: ['start'],
    reread: 'start',
  },
  badmailfrom: { form: 'list', meaning: 'senders refused: user@host or @host', readBy: ['smtpd'], reread: 'live' },
  badrcptto: {
    form: 'list',
    meaning: 'recipients refused by qmail-rcptcheck-badrcptto: user@host or @host',
    readBy: ['smtpd'],
    reread: 'live',
  },
  badhelo: {
    form: 'list',
    meaning: 'HELO names refused by qmail-rcptcheck-qregex, if HELOHOST is set: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
  },
  badmailfromnorelay: {
    form: 'list',
    meaning: 'senders refused by qmail-rcptcheck-qregex unless the client may relay: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
  },
  badmailto: {
    form: 'list',
    meaning: 'recipients refused by qmail-rcptcheck-qregex: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
  },
  badmailtonorelay: {
    form: 'list',
    meaning: 'recipients refused by qmail-rcptcheck-qregex unless the client may relay: patterns, ! negates',
    readBy: ['smtpd'],
    reread: 'live',
  },
  fixsmtpio: {
    form: 'list',
    meaning: 'rules that change replies: env:event:request-prepend:response-line-glob:exitcode:response',
    readBy: ['smtpd'],
    reread: 'live',
  },
  rcptchecks: {
    form: 'list',
    meaning: 'programs of qmail-rcptcheck, asked in order about each recipient',
    readBy: ['smtpd'],
    reread: 'live',
  },
  signatures: {
    form: 'list',
    meaning: 'starts of MIME parts refused by qmail-qfilter-viruscan',
    readBy: ['smtpd', 'exec'],
    reread: 'live',
  },
  localfilters: {
    form: 'list',
    meaning: 'filter programs that mail from relay clients passes, in order',
    readBy: ['smtpd'],
    reread: 'live',
  },
  smtpfilters: {
    form: 'list',
    meaning: 'filter programs that mail from the network passes, in order; absent = qmail-qfilter-addtlsheader',
    readBy: ['smtpd'],
    reread: 'live',
  },
  smtpplugins: {
    form: 'list',
    meaning: 'plug-ins of SMTP sessions, in sections [connection] [helo] [mail] [rcpt] [data]',
    readBy: ['smtpd'],
    reread: 'live',
  },
  bouncefrom: {
    form: 'line',
    fallback: 'MAILER-DAEMON',
    meaning: 'local part of the From of bounces',
    readBy: ['queue'],
    reread: 'start',
  },
  bouncehost: { form: 'line', fallback: 'me', meaning: 'host in bounces', readBy: ['queue'], reread: 'start' },
  bouncemaxbytes: {
    form: 'number',
    fallback: 65536,
    unit: 'bytes',
    meaning: 'copy of the message in a bounce is cut here; 0 = whole',
    readBy: ['queue'],
    reread: 'start',
  },
  concurrencyincoming: {
    form: 'number',
    fallback: 1000,
    unit: 'connections',
    meaning: 'SMTP connections at once; those from this host are not counted',
    readBy: ['smtpd'],
    reread: 'start',
  },
  concurrencyperip: {
    form: 'number',
    fallback: 50,
    unit: 'connections',
    meaning: 'SMTP connections at once from one IPv4 address or one IPv6 /64',
    readBy: ['smtpd'],
    reread: 'start',
  },
  concurrencylocal: {
    form: 'number',
    fallback: 100,
    unit: 'deliveries',
    meaning: 'local deliveries at once; 0 holds them',
    readBy: ['queue'],
    reread: 'start',
  },
  concurrencyremote: {
    form: 'number',
    fallback: 200,
    unit: 'deliveries',
    meaning: 'remote deliveries at once; 0 holds them',
    readBy: ['queue'],
    reread: 'start',
  },
  concurrencyhost: {
    form: 'number',
    fallback: 20,
    unit: 'deliveries',
    meaning: 'remote deliveries at once to one domain',
    readBy: ['queue'],
    reread: 'start',
  },
  databytes: {
    form: 'number',
    fallback: 52428800,
    unit: 'bytes',
    meaning: 'largest message accepted; 0 = no limit',
    readBy: ['smtpd'],
    reread: 'live',
  },
  defaultdelivery: {
    form: 'line',
    fallback: './Maildir/',
    meaning: 'delivery instruction where .qmail gives none',
    readBy: ['lspawn'],
    reread: 'start',
  },
  ...dnsListFiles,
  dnsservers: {
    form: 'list',
    meaning: 'name servers to ask, address or address:port; absent = the system’s',
    readBy: ['remote', 'policy'],
    reread: 'start',
  },
  doublebouncehost: {
    form: 'line',
    fallback: 'me',
    meaning: 'host to which double bounces go',
    readBy: ['queue'],
    reread: 'start',
  },
  doublebounceto: {
    form: 'line',
    fallback: 'postmaster',
    meaning: 'user to whom double bounces go; empty discards them',
    readBy: ['queue'],
    reread: 'start',
  },
  envnoathost: {
    form: 'line',
    fallback: 'me',
    meaning: 'added to recipients without @',
    readBy: ['queue'],
    reread: 'start',
  },
  'greylist/exemptrcpthosts': {
    form: 'list',
    meaning: 'recipient domains that are not greylisted',
    readBy: ['smtpd'],
    reread: 'live',
  },
  'greylist/exemptrcpts': {
    form: 'list',
    meaning: 'recipients that are not greylisted',
    readBy: ['smtpd'],
    reread: 'live',
  },
  helohost: { form: 'line', fallback: 'me', meaning: 'our name in EHLO', readBy: ['remote'], reread: 'start' },
  'listen-smtp': {
    form: 'list',
    meaning: 'where SMTP listens, address:port or [address]:port; absent = 0.0.0.0:25 and [::]:25, demo 127.0.0.1:2525',
    readBy: ['start'],
    reread: 'start',
  },
  localiphost: {
    form: 'line',
    fallback: 'me',
    meaning: 'replaces [address of ours] in addresses',
    readBy: ['smtpd'],
    reread: 'live',
  },
  locals: { form: 'list', fallback: 'me', meaning: 'domains delivered here', readBy: ['queue'], reread: 'reload' },
  log: {
    form: 'line',
    meaning: 'where a system home logs: stderr, stamp, syslog, journal or json; absent = stderr',
    readBy: ['start'],
    reread: 'start',
  },
  morercpthosts: {
    form: 'list',
    meaning: 'more rcpthosts, read through morercpthosts.cdb',
    readBy: ['smtpd'],
    reread: 'live',
  },
  percenthack: {
    form: 'list',
    meaning: 'domains in which user%host is user@host',
    readBy: ['queue'],
    reread: 'reload',
  },
  proxyclients: {
    form: 'list',
    meaning: 'addresses and networks of proxies: they must begin with a PROXY header; absent = none',
    readBy: ['smtpd'],
    reread: 'live',
  },
  queuelifetime: {
    form: 'number',
    fallback: 604800,
    unit: 'seconds',
    meaning: 'after this a deferral becomes a bounce',
    readBy: ['queue'],
    reread: 'start',
  },
  rcpthosts: {
    form: 'list',
    meaning: 'domains for which mail is accepted; absent = none',
    readBy: ['smtpd'],
    reread: 'live',
  },
  services: {
    form: 'list',
    meaning: 'what runs beside the queue: smtp, local, remote; absent = all',
    readBy: ['start'],
    reread: 'start',
  },
  smarthostsecrets: {
    form: 'list',
    meaning: 'relay[:port] user password, for smtproutes and senderroutes',
    readBy: ['remote'],
    reread: 'live',
    secret: true,
  },
  relayclients: {
    form: 'list',
    meaning:
      'addresses and networks that may relay, without control/tcprules/smtp; absent = 127.0.0.0/8 and ::1, empty = nobody',
    readBy: ['smtpd'],
    reread: 'live',
  },
  senderroutes: {
    form: 'map',
    meaning: 'user@host:relay[:port] or @host:relay[:port], before smtproutes',
    readBy: ['remote'],
    reread: 'live',
  },
  smtpgreeting: {
    form: 'line',
    fallback: 'me',
    meaning: 'greeting; begin it with the host name',
    readBy: ['smtpd'],
    reread: 'live',
  },
  smtproutes: {
    form: 'map',
    meaning: 'domain:relay[:port], .domain:relay, :relay; empty relay = use the MX',
    readBy: ['remote'],
    reread: 'live',
  },
  timeoutconnect: {
    form: 'number',
    fallback: 60,
    unit: 'seconds',
    meaning: 'limit on connecting to a remote host',
    readBy: ['remote'],
    reread: 'live',
  },
  timeoutremote: {
    form: 'number',
    fallback: 1200,
    unit: 'seconds',
    meaning: 'upper limit on each remote reply',
    readBy: ['remote'],
    reread: 'live',
  },
  timeoutsmtpd: {
    form: 'number',
    fallback: 300,
    unit: 'seconds',
    meaning: 'limit on waiting for a client',
    readBy: ['smtpd'],
    reread: 'live',
  },
  xclients: {
    form: 'list',
    meaning: 'addresses and networks that may say XCLIENT; absent = none',
    readBy: ['smtpd'],
    reread: 'live',
  },
  virtualdomains: {
    form: 'map',
    meaning: 'domain:prepend or user@domain:prepend',
    readBy: ['queue'],
    reread: 'reload',
  },
} as const satisfies Record<string, ControlFile>

export type ControlName = keyof typeof controlFiles
export type NameOf<F extends Form> = {
  [Name in ControlName]: (typeof controlFiles)[Name]['form'] extends F ? Name : never
}[ControlName]
