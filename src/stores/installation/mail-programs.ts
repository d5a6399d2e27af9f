/** The paths by which programs of a machine hand mail in (`sendmail` and its kin), and which software provides them now.
 *  Knows:  groups of alternatives, mailwrapper's file (mailer.conf). Never: changes anything. */
import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { QmailProgram } from './qmail-programs.ts'

export interface MailProgram {
  readonly program: QmailProgram
  readonly path: string
}

/** The first is the one that counts. */
export const mailPrograms: readonly MailProgram[] = [
  { program: 'sendmail', path: '/usr/sbin/sendmail' },
  { program: 'sendmail', path: '/usr/lib/sendmail' },
  { program: 'mailq', path: '/usr/bin/mailq' },
  { program: 'newaliases', path: '/usr/bin/newaliases' },
]

/** On the BSDs; the first that exists counts. */
const mailerFiles: readonly string[] = ['/usr/local/etc/mail/mailer.conf', '/etc/mail/mailer.conf', '/etc/mailer.conf']
const alternativesDirectory = '/etc/alternatives'

export type Holder =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'ours' }
  /** A link of a group of alternatives, and its present target. */
  | { readonly kind: 'alternatives'; readonly group: string; readonly now: string }
  /** mailwrapper runs what this file says. */
  | { readonly kind: 'mailwrapper'; readonly file: string }
  /** `now`: without links. */
  | { readonly kind: 'other'; readonly now: string }

/** `launcher`: what each of our programs is a link to. */
export function holderOf(path: string, launcher: string): Holder {
  const facts = lstatSync(path, { throwIfNoEntry: false })
  if (facts === undefined) return { kind: 'nobody' }
  const now = realPath(path)
  if (now === realPath(launcher)) return { kind: 'ours' }
  const target = facts.isSymbolicLink() ? readlinkSync(path) : ''
  if (dirname(target) === alternativesDirectory) return { kind: 'alternatives', group: basename(target), now }
  const file = basename(now) === 'mailwrapper' ? mailerFiles.find((one) => existsSync(one)) : undefined
  return file === undefined ? { kind: 'other', now } : { kind: 'mailwrapper', file }
}

/** Content of mailer.conf(5) that makes all of the machine's mail programs ours. `bin`: their directory. */
export function mailerText(bin: string): string {
  const names = { sendmail: 'sendmail', 'send-mail': 'sendmail', mailq: 'mailq', newaliases: 'newaliases' }
  const lines = Object.entries(names).map(([name, program]) => `${name}\t${join(bin, program)}\n`)
  return `# Made by quaver setup; what was here before is beside it.\n${lines.join('')}`
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
