/** The programs of this folder by the names they are called by, and what each loads: nothing but its own. */
import type { QmailProgram } from '../../stores/installation/qmail-programs.ts'
import type { Program } from './call.ts'

const loaders: Readonly<Record<QmailProgram, () => Promise<Program>>> = {
  '822field': async () => (await import('./read-header.ts')).field822,
  '822header': async () => (await import('./read-header.ts')).header822,
  bouncesaying: async () => (await import('./child-programs.ts')).bouncesaying,
  condredirect: async () => (await import('./forward.ts')).condredirect,
  datemail: async () => (await import('./small-senders.ts')).datemail,
  except: async () => (await import('./child-programs.ts')).except,
  forward: async () => (await import('./forward.ts')).forward,
  iftocc: async () => (await import('./read-header.ts')).iftocc,
  maildirmake: async () => (await import('./maildirmake.ts')).maildirmake,
  maildir2mbox: async () => (await import('./maildir2mbox.ts')).maildir2mbox,
  mailq: async () => (await import('./sendmail.ts')).sendmail,
  mailsubj: async () => (await import('./small-senders.ts')).mailsubj,
  newaliases: async () => (await import('./sendmail.ts')).sendmail,
  predate: async () => (await import('./small-senders.ts')).predate,
  preline: async () => (await import('./child-programs.ts')).preline,
  'qmail-getpw': async () => (await import('./getpw.ts')).getpw,
  'qmail-inject': async () => (await import('./inject.ts')).inject,
  'qmail-local': async () => (await import('./local.ts')).local,
  'qmail-newmrh': async () => (await import('./compile.ts')).newmrh,
  'qmail-newu': async () => (await import('./compile.ts')).newu,
  'qmail-pw2u': async () => (await import('./pw2u.ts')).pw2u,
  'qmail-qmqpc': async () => (await import('./qmqpc.ts')).qmqpc,
  'qmail-pop3d': async () => (await import('./session-programs.ts')).pop3d,
  'qmail-popup': async () => (await import('./popup.ts')).popup,
  'qmail-qmqpd': async () => (await import('./session-programs.ts')).qmqpd,
  'qmail-qmtpd': async () => (await import('./session-programs.ts')).qmtpd,
  'qmail-qread': async () => (await import('./qread.ts')).qread,
  'qmail-qstat': async () => (await import('./qstat.ts')).qstat,
  'qmail-queue': async () => (await import('./queue.ts')).qmailQueue,
  'qmail-remote': async () => (await import('./remote.ts')).remote,
  'qmail-showctl': async () => (await import('./showctl.ts')).showctl,
  'qmail-smtpd': async () => (await import('./session-programs.ts')).smtpd,
  qreceipt: async () => (await import('./qreceipt.ts')).qreceipt,
  sendmail: async () => (await import('./sendmail.ts')).sendmail,
  srsfilter: async () => (await import('./srsfilter.ts')).srsfilter,
  splogger: async () => (await import('./splogger.ts')).splogger,
}

export const programs: ReadonlyMap<string, () => Promise<Program>> = new Map(Object.entries(loaders))

/** They take `--home HOME` in front. The others are given words from outside as arguments. */
export const namesHome: ReadonlySet<string> = new Set([
  'qmail-newmrh',
  'qmail-newu',
  'qmail-pw2u',
  'qmail-pop3d',
  'qmail-qmqpc',
  'qmail-qmqpd',
  'qmail-qmtpd',
  'qmail-qread',
  'qmail-qstat',
  'qmail-queue',
  'qmail-showctl',
  'qmail-smtpd',
])
