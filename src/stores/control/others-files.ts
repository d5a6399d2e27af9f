/** Files of control/ that qmail's other distributions, programs and well-known patches read, and Quaver does not: what each did
 *  there, and what does it here. `quaver control check` prints this for those that a home has. */

export interface OthersFile {
  /** Follows the file's name. */
  readonly there: string
  /** A sentence. */
  readonly here: string
}

const spf =
  'SPF is on without configuration; what comes of a result is said by SPP_SPF_… variables of control/tcprules/smtp.'
const recipients =
  'recipients are checked by the code that delivers, without a list; control/rcptchecks says by what else, or with no lines by nothing.'
const clientCertificates =
  'nobody relays by a certificate: control/relayclients and tcprules say who may, and others log in on port 587.'
const noParameters = 'nothing needs it: neither RSA key exchange nor DHE is spoken, only ECDHE.'
const ciphers = 'the suites are those of docs/programs/tls.md, for all hosts.'
const errors =
  'refusals cost a client a second each from the sixth on, and the twentieth ends the session; a message has 1000 recipients at most.'
const patterns =
  'patterns stand in control/badmailfrom, badmailto, badrcptto and badhelo when control/rcptchecks names qmail-rcptcheck-qregex.'
const content = 'messages pass the programs of control/smtpfilters, as with qmail-qfilter.'
const lists = 'control/dnsbls names DNS lists; without it sound ones are asked, and an empty one turns them off.'
const sourceAddress = 'the system’s routes choose the address that mail leaves from.'

export const othersFiles: ReadonlyMap<string, OthersFile> = new Map(
  Object.entries({
    'servercert.pem': {
      there: 'was certificate and key of the server',
      here: 'they are tls/cert.pem and tls/key.pem; quaver adopt takes them apart.',
    },
    'servercert.cnf': {
      there: 'said what servercert.pem was made of',
      here: 'certificates come from outside, or quaver start --demo.',
    },
    'clientca.pem': { there: 'named authorities whose certificates let clients relay', here: clientCertificates },
    'clientcrl.pem': { there: 'named client certificates that were revoked', here: clientCertificates },
    tlsclients: { there: 'named client certificates that might relay', here: clientCertificates },
    tlsserverclients: { there: 'named client certificates that might relay', here: clientCertificates },
    'dh1024.pem': { there: 'held parameters for DHE', here: noParameters },
    'dh2048.pem': { there: 'held parameters for DHE', here: noParameters },
    'rsa512.pem': { there: 'held an RSA key for export suites', here: noParameters },
    'rsa2048.pem': { there: 'held an RSA key for the key exchange', here: noParameters },
    tlsserverciphers: { there: 'said which ciphers the server took', here: ciphers },
    tlsclientciphers: { there: 'said which ciphers qmail-remote offered', here: ciphers },
    qmqpservers: {
      there: 'named hosts to which qmail-qmqpc gave all mail',
      here: 'qmail-qmqpc reads it when QMAILQUEUE names that; for all mail, control/smtproutes has a line :HOST, by SMTP.',
    },
    timeoutqmtpd: { there: 'was the limit on waiting for a QMTP client', here: 'five minutes, for QMTP and QMQP.' },
    outgoingip: { there: 'was the address from which mail was sent', here: sourceAddress },
    domainbindings: { there: 'said from which address a domain’s mail was sent', here: sourceAddress },
    authsenders: {
      there: 'gave senders a relay with user and password',
      here: 'control/senderroutes names the relay, control/smarthostsecrets user and password.',
    },
    spfbehavior: { there: 'said what came of an SPF result', here: spf },
    spfguess: {
      there: 'was the SPF record of domains without one',
      here: 'SPP_SPF_MX_RESULT_… variables of control/tcprules/smtp ask for a guess by v=spf1 mx -all.',
    },
    spfrules: {
      there: 'was an SPF record asked before the domain’s own',
      here: 'rules in control/tcprules/smtp let clients in without a look at SPF.',
    },
    spfexp: {
      there: 'was the text for refusals by SPF',
      here: 'SPP_SPF_RESULT_FAIL in control/tcprules/smtp has the text, or spf_smtp_msg for the domain’s own.',
    },
    validrcptto: { there: 'listed the recipients that exist', here: recipients },
    'validrcptto.cdb': { there: 'listed the recipients that exist', here: recipients },
    goodrcptto: { there: 'listed recipients that passed the checks', here: recipients },
    morebadrcptto: { there: 'listed more recipients that were refused', here: 'control/badrcptto has them all.' },
    badrcptpatterns: { there: 'listed patterns of recipients that were refused', here: patterns },
    badmailpatterns: { there: 'listed patterns of senders that were refused', here: patterns },
    badhelopatterns: { there: 'listed patterns of HELO names that were refused', here: patterns },
    tarpitcount: { there: 'said from which recipient on a client was slowed down', here: errors },
    tarpitdelay: { there: 'said by how many seconds', here: errors },
    brtlimit: { there: 'said how many bad recipients a client might name', here: errors },
    maxrecipients: { there: 'said how many recipients a message might have', here: errors },
    mfcheck: {
      there: 'refused senders whose domain the DNS does not know',
      here: 'senders are checked by SPF; a plug-in of control/smtpplugins can do this.',
    },
    helodnscheck: {
      there: 'refused HELO names that the DNS does not know',
      here: 'a plug-in of control/smtpplugins can do this.',
    },
    blacklists: { there: 'named DNS lists', here: lists },
    rbllist: { there: 'named DNS lists', here: lists },
    rbldomains: { there: 'named DNS lists', here: lists },
    simcontrol: { there: 'said what simscan looked for', here: content },
    simversions: { there: 'held the versions of simscan’s scanners', here: content },
    badmimetypes: {
      there: 'listed beginnings of MIME parts that were refused',
      here: 'control/signatures has them, for qmail-qfilter-viruscan in control/smtpfilters.',
    },
    badloadertypes: {
      there: 'listed beginnings of programs that were refused',
      here: 'control/signatures has them, for qmail-qfilter-viruscan in control/smtpfilters.',
    },
    filterargs: { there: 'gave spawn-filter programs that mail passed when it was delivered', here: content },
    relaymailfrom: {
      there: 'named senders that might relay',
      here: 'a sender’s name proves nothing: control/relayclients and tcprules say who may, and others log in on port 587.',
    },
    'locals.cdb': { there: 'was locals, compiled', here: 'control/locals itself is read.' },
    'virtualdomains.cdb': { there: 'was virtualdomains, compiled', here: 'control/virtualdomains itself is read.' },
    'smtproutes.cdb': { there: 'was smtproutes, compiled', here: 'control/smtproutes itself is read.' },
    'badmailfrom.cdb': { there: 'was badmailfrom, compiled', here: 'control/badmailfrom itself is read.' },
  } satisfies Record<string, OthersFile>),
)
