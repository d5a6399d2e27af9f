/** qmail's programs that we have, by name. `start` links each in HOME/bin, a package beside its launcher. */

export const qmailPrograms = [
  '822field',
  '822header',
  'bouncesaying',
  'condredirect',
  'datemail',
  'except',
  'forward',
  'iftocc',
  'maildirmake',
  'maildir2mbox',
  'mailq',
  'mailsubj',
  'newaliases',
  'predate',
  'preline',
  'qmail-getpw',
  'qmail-inject',
  'qmail-local',
  'qmail-newmrh',
  'qmail-newu',
  'qmail-pw2u',
  'qmail-qread',
  'qmail-qstat',
  'qmail-queue',
  'qmail-showctl',
  'qreceipt',
  'sendmail',
  'splogger',
] as const

export type QmailProgram = (typeof qmailPrograms)[number]

/** What a package puts on everybody's PATH. Other mail servers and other packages bring programs of the other names: which
 *  `sendmail` is the machine's is for its administrator to say. */
export function isOnPath(name: QmailProgram): boolean {
  return name.startsWith('qmail-')
}
