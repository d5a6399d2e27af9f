/** What troubles a program: said to `start` when it asks, shown by `quaver status`, and by `quaver queue why` for one
 *  recipient. One table says of each kind what it means and what to do.
 *  Knows:  kinds, words, how a system's error code tells the kind. Never: looks at the machine. */
import type { FieldReader, FieldWriter } from './fields.ts'
import { fromText, toText } from '../base/byte-string.ts'

export interface Cause {
  /** Completes `there is trouble: …`. */
  readonly title: string
  /** What to do. `where` is a path, a name or an address; empty if none is known. */
  readonly remedy: (where: string) => string
}

export const causes = {
  'disk-full': {
    title: 'the disk is full',
    remedy: (where) => `make room, or enlarge the quota: df -h ${where || '.'}; df -i ${where || '.'}`,
  },
  'read-only': {
    title: 'the file system is read-only',
    remedy: (where) => `look for its errors (dmesg), then: mount -o remount,rw on what holds ${where}`,
  },
  unreadable: {
    title: 'a file cannot be read or written by the account that needs it',
    remedy: (where) => `see owner and mode of it, and of each directory above: namei -l ${where}`,
  },
  missing: {
    title: 'a file or directory is not there',
    remedy: (where) => `make it, or mount what holds it: ${where}`,
  },
  'maildir-missing': {
    title: 'a mailbox has no Maildir that can be entered',
    remedy: (where) => `mount what holds it, or make it as its owner: mkdir -p ${where}cur ${where}new ${where}tmp`,
  },
  'certificate-missing': {
    title: 'there is no certificate: nobody can log in, and SMTP has no STARTTLS',
    remedy: (where) => `put cert.pem (the chain) and key.pem (mode 600) into ${where}`,
  },
  'certificate-faulty': {
    title: 'a certificate or key cannot be used; the one before stays in force',
    remedy: (where) => `put a pair that belongs together into ${where}`,
  },
  'certificate-expired': {
    title: 'a certificate is out of date, or not yet valid: mail programs refuse it',
    remedy: (where) => `renew it, and put the new one into ${where}; it is read within seconds`,
  },
  'certificate-expiring': {
    title: 'a certificate ends soon',
    remedy: (where) => `renew it, and put the new one into ${where}`,
  },
  'certificate-name': {
    title: 'the certificate does not have the name of this host: mail programs refuse it',
    remedy: (where) => `get one for the name in control/me, or tell people the name that is in ${where}`,
  },
  renewal: {
    title: 'the authority’s certificate could not be got; the present one stays in force',
    remedy: () =>
      'correct what the text names; the next attempt is automatic (quaver tls status), or now: quaver tls renew',
  },
  'name-server': {
    title: 'the name server does not answer',
    remedy: () =>
      'see control/dnsservers, or without it /etc/resolv.conf, and whether what it names answers: dig @ADDRESS example.org MX',
  },
  'account-locked': {
    title: 'an account is locked after too many wrong passwords',
    remedy: (where) => `quaver login failures shows from where; quaver login forgive ${where} unlocks it`,
  },
  queue: {
    title: 'the queue cannot be written',
    remedy: (where) => `see the log, and check owner, mode and free space of ${where}`,
  },
  log: {
    title: 'the log cannot be written: present events are lost',
    remedy: (where) => `check free space, owner and mode of ${where}, or what the service manager does with it`,
  },
  restarting: {
    title: 'a program ends again and again',
    remedy: () => 'the text says how it ended; the log has more',
  },
  silent: {
    title: 'a program does not answer',
    remedy: (where) => `see what it does; if it hangs, end it, and it is started again: kill -9 ${where}`,
  },
  clock: {
    title: 'the clock is wrong, or was set',
    remedy: () => 'check the synchronization of time (timedatectl; chronyc tracking)',
  },
  unknown: { title: 'something is wrong', remedy: () => 'the log has more' },
} as const satisfies Record<string, Cause>

export type TroubleKind = keyof typeof causes

export interface Trouble {
  readonly kind: TroubleKind
  /** A path, a name or an address; may be empty. */
  readonly where: string
  /** What was seen or said, one line. */
  readonly text: string
}

/** Of one program. */
export const troublesMax = 50
const textBytesMax = 1024

export function writeTroubles(fields: FieldWriter, troubles: readonly Trouble[]): void {
  const told = troubles.slice(0, troublesMax)
  fields.u32(told.length)
  for (const { kind, where, text } of told)
    for (const part of [kind, where, text]) fields.string(fromText(part).slice(0, textBytesMax))
}

export function readTroubles(fields: FieldReader): Trouble[] {
  const count = Math.min(fields.u32(), troublesMax)
  return Array.from({ length: count }, () => {
    const [kind = '', where = '', text = ''] = [0, 1, 2].map(() => toText(fields.string(textBytesMax)))
    return { kind: isKind(kind) ? kind : 'unknown', where, text }
  })
}

export function isKind(text: string): text is TroubleKind {
  return Object.hasOwn(causes, text)
}

const kindByCode: ReadonlyMap<string, TroubleKind> = new Map([
  ['ENOSPC', 'disk-full'],
  ['EDQUOT', 'disk-full'],
  ['EROFS', 'read-only'],
  ['EACCES', 'unreadable'],
  ['EPERM', 'unreadable'],
  ['EISDIR', 'unreadable'],
  ['ELOOP', 'unreadable'],
  ['EIO', 'unreadable'],
  ['ENOENT', 'missing'],
  ['ENOTDIR', 'missing'],
])

/** As databases say it, without a code. */
const fullInWords = /no space left on device|database or disk is full/i

/** Begins what is known of a question to the DNS that failed. */
export const nameServerSays = 'name server: '
/** SERVFAIL is an answer: the fault is the domain's, not the name server's. */
const silentNameServer = /\b(?:ETIMEOUT|ECONNREFUSED|no answer in)\b/

/** The trouble that a failure's text tells of: a system error code, as Node puts it before its message, and the first
 *  absolute path in it. Undefined: no trouble of the table. */
export function troubleIn(text: string): Trouble | undefined {
  if (text.startsWith(nameServerSays))
    return silentNameServer.test(text) ? { kind: 'name-server', where: '', text } : undefined
  const code = fullInWords.test(text) ? 'ENOSPC' : /\b(E[A-Z]{3,})\b/.exec(text)?.[1]
  const kind = code === undefined ? undefined : kindByCode.get(code)
  if (kind === undefined) return undefined
  const path = (/(?:^|[\s'"])(\/[^\s'":]*)/.exec(text)?.[1] ?? '').replaceAll('/./', '/')
  // The half-written file is gone again; its directory shows which file system is meant.
  const where = path.replace(/[^/]+\.new$/, '')
  return { kind: text.startsWith('maildir ') && kind === 'missing' ? 'maildir-missing' : kind, where, text }
}

/** `cause (where): remedy`, for a person. */
export function explainTrouble({ kind, where }: Pick<Trouble, 'kind' | 'where'>): string {
  const { title, remedy } = causes[kind]
  return `${title}${where === '' ? '' : ` (${where})`}. To do: ${remedy(where)}`
}

/** For an error of a system call (a full disk, a file in a directory's place): its message, and on a second line what to do;
 *  undefined for any other error, which is a bug. */
export function systemRefusal(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error)) return undefined
  const trouble = troubleIn(error.message)
  return trouble === undefined ? error.message : `${error.message}\n${explainTrouble(trouble)}`
}
