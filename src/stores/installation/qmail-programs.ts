/** qmail's programs that we have, by name. `start` links each in HOME/bin, a package beside its launcher. */

export const qmailPrograms = [
  'bouncesaying',
  'condredirect',
  'except',
  'forward',
  'maildirmake',
  'mailq',
  'newaliases',
  'preline',
  'qmail-inject',
  'qmail-qread',
  'qmail-queue',
  'sendmail',
] as const

export type QmailProgram = (typeof qmailPrograms)[number]

/** What a package puts on everybody's PATH. Other mail servers and other packages bring programs of the other names: which
 *  `sendmail` is the machine's is for its administrator to say. */
export function isOnPath(name: QmailProgram): boolean {
  return name.startsWith('qmail-')
}
