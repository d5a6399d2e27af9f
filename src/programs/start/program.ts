/** What `start` runs: one row a program. Order of the rows is the order of `phase`s in which they are started; they are
 *  stopped the other way round. */
import { extname, join } from 'node:path'
import type { Role, SocketName } from '../../stores/home/layout.ts'

export type Service = 'smtp' | 'local' | 'remote'
export const services: readonly Service[] = ['smtp', 'local', 'remote']

export interface Program {
  readonly name: string
  /** Whose account it gets in a system home. */
  readonly role: Role
  /** A program is started when all of the phases before are ready. */
  readonly phase: number
  /** It runs only if this service is wanted; undefined runs always. */
  readonly service: Service | undefined
  /** The sockets it serves, in the order of its descriptors from 4 on. `smtp` is TCP, the others are in HOME/run. */
  readonly listens: readonly (SocketName | 'smtp')[]
  /** Gets the certificate and the key. */
  readonly tls: boolean
  /** It may put mail into the queue by way of the program that QMAILQUEUE names. */
  readonly injects: boolean
  /** Threads for file work (UV_THREADPOOL_SIZE); undefined leaves Node's own number. */
  readonly threads: number | undefined
  /** Path of the file to run; undefined: programs/NAME/main.ts beside this folder. */
  readonly file?: string
}

const plain = { service: undefined, listens: [], tls: false, injects: false, threads: undefined } as const

export const programs: readonly Program[] = [
  {
    ...plain,
    name: 'queue',
    role: 'queue',
    phase: 0,
    listens: ['queue-network', 'queue-inject', 'queue-remote', 'queue-lspawn', 'queue-admin'],
    injects: true,
    threads: 16,
  },
  {
    ...plain,
    name: 'lspawn',
    role: 'root',
    phase: 1,
    service: 'local',
    listens: ['lspawn-recipients'],
    injects: true,
    threads: 16,
  },
  { ...plain, name: 'remote', role: 'remote', phase: 1, service: 'remote' },
  { ...plain, name: 'policy', role: 'policy', phase: 1, service: 'smtp', listens: ['policy'] },
  { ...plain, name: 'exec', role: 'smtpd', phase: 1, service: 'smtp', listens: ['exec'] },
  {
    ...plain,
    name: 'smtpd',
    role: 'smtpd',
    phase: 2,
    service: 'smtp',
    listens: ['smtpd-admin', 'smtp'],
    tls: true,
    injects: true,
  },
]

/** The same extension as this file: `.ts` in a clone, `.js` in a built tree. */
export function programFile(program: Pick<Program, 'name' | 'file'>): string {
  return program.file ?? join(import.meta.dirname, '..', program.name, `main${extname(import.meta.filename)}`)
}
