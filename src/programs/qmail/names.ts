/** The programs of this folder by the names they are called by, and what each loads: nothing but its own. */
import type { QmailProgram } from '../../stores/installation/qmail-programs.ts'
import type { Program } from './call.ts'

const loaders: Readonly<Record<QmailProgram, () => Promise<Program>>> = {
  bouncesaying: async () => (await import('./child-programs.ts')).bouncesaying,
  condredirect: async () => (await import('./forward.ts')).condredirect,
  except: async () => (await import('./child-programs.ts')).except,
  forward: async () => (await import('./forward.ts')).forward,
  maildirmake: async () => (await import('./maildirmake.ts')).maildirmake,
  mailq: async () => (await import('./sendmail.ts')).sendmail,
  newaliases: async () => (await import('./sendmail.ts')).sendmail,
  preline: async () => (await import('./child-programs.ts')).preline,
  'qmail-inject': async () => (await import('./inject.ts')).inject,
  'qmail-qread': async () => (await import('./qread.ts')).qread,
  'qmail-queue': async () => (await import('./queue.ts')).qmailQueue,
  sendmail: async () => (await import('./sendmail.ts')).sendmail,
}

export const programs: ReadonlyMap<string, () => Promise<Program>> = new Map(Object.entries(loaders))

/** They take `--home HOME` in front. The others are given words from outside as arguments. */
export const namesHome: ReadonlySet<string> = new Set(['qmail-qread', 'qmail-queue'])
