/** qmail's programs that we have, by name. `start` links each in HOME/bin, a package beside its launcher. */

/** Names, and what each program does, for the manual. */
export const programMeanings = {
  '822field': 'print what stands behind the colon of a field (default: subject) of the message on standard input',
  '822header': 'print the header of the message on standard input',
  bouncesaying: 'in .qmail: bounce with a text, always or where a program exits 0',
  checknotroot: 'run a program, but not as root',
  condredirect: 'in .qmail: send the message on where a program exits 0',
  datemail: 'sendmail, with a Date of this zone in front',
  except: 'in .qmail: turn the answer of a program round',
  fixsmtpio: 'run qmail-smtpd, which applies control/fixsmtpio itself',
  forward: 'in .qmail: send the message on',
  greetdelay: 'run a program after GREETDELAY seconds, unless the client talks before it is greeted',
  iftocc: 'exit 0 if an address is in To or Cc of the message on standard input',
  maildirmake: 'make a Maildir, for its owner alone',
  maildir2mbox: 'move what is in $MAILDIR into the mbox $MAIL, which is made anew as $MAILTMP',
  mailq: 'list the queue, as qmail-qread',
  mailsubj: 'send standard input with a subject, to the recipients that are named',
  newaliases: 'say that fastforward has it',
  predate: 'give a program standard input with a Date of this zone in front',
  preline: 'in .qmail: give a program the message with From, Return-Path and Delivered-To lines in front',
  'qmail-getpw': 'print which account gets the mail of a local part about which users/assign says nothing',
  'qmail-inject': 'hand a message in, with a header as people and scripts write it',
  'qmail-local': 'with -n: print what a delivery would do',
  'qmail-newmrh': 'compile control/morercpthosts',
  'qmail-newu': 'compile users/assign',
  'qmail-pop3d': 'one POP3 session about the Maildir that is named, on descriptors 0 and 1, behind a login',
  'qmail-popup': 'ask for a name and a password by POP3, and run a checkpassword program with them',
  'qmail-pw2u': 'make lines of users/assign of passwd lines',
  'qmail-qmqpc': 'as qmail-queue, for a host without a queue: the message goes to a host of control/qmqpservers',
  'qmail-qread': 'list the queue: to ordinary users what they handed in, to root everything',
  'qmail-qstat': 'count what is in the queue',
  'qmail-queue': 'take a message from descriptor 0 and its envelope from descriptor 1',
  'qmail-remote':
    'send the message on standard input to a host: HOST SENDER RECIPIENT…, as a QMAILREMOTE program calls it',
  'qmail-qmqpd': 'one QMQP session on descriptors 0 and 1, for tcpserver',
  'qmail-qmtpd': 'one QMTP session on descriptors 0 and 1, for tcpserver',
  'qmail-showctl': 'print what the control files say',
  'qmail-smtpd': 'one SMTP session on descriptors 0 and 1, for tcpserver, with the checks of smtpd',
  qreceipt: 'in .qmail: tell a sender who asked for it that the message has arrived',
  rblsmtpd: 'run a program, or refuse all mail of a client that DNS lists name',
  sendmail: 'hand a message in by the rules of qmail-inject; -bs speaks SMTP',
  srsfilter: 'in .qmail of a virtual domain for SRS addresses: send a bounce home',
  splogger: 'pass lines to syslog, with the time in front',
  'tcp-env': 'say in the environment who is at the other end of descriptor 0, and run a program',
  tcprules: "compile tcpserver's rules",
  tcprulescheck: "say what tcpserver's rules do with the peer in the environment",
} as const satisfies Record<string, string>

export type QmailProgram = keyof typeof programMeanings

export const qmailPrograms: readonly QmailProgram[] = Object.keys(programMeanings).toSorted() as QmailProgram[]

/** Programs that a package puts on every user's PATH. Other mail servers and packages bring programs of the other names, and
 *  the administrator chooses, for example, which `sendmail` is the machine's. */
export function isOnPath(name: QmailProgram): boolean {
  return name.startsWith('qmail-')
}
