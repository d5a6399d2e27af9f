/** What `start` runs: one row a program. Order of the rows is the order of `phase`s in which they are started; they are
 *  stopped the other way round. */
import { extname, join } from 'node:path'
import {
  findListener,
  type ListenerName,
  listenersOf,
  type LoginService,
  loginServices,
  type RelayService,
  relayServices,
  type ServiceName,
  services,
} from '../../contracts/services.ts'
import type { Role, SocketName } from '../../stores/home/layout.ts'

export interface Program {
  readonly name: string
  /** Whose account it gets in a system home. */
  readonly role: Role
  /** A program is started when all of the phases before are ready. */
  readonly phase: number
  /** It runs only if one of these services is wanted; undefined runs always. */
  readonly for: readonly ServiceName[] | undefined
  /** And only if this control file is there when `start` starts. */
  readonly onlyWith?: 'oauthissuers' | 'dkimdomains' | 'acme' | `listen-${'qread' | 'http' | 'https' | RelayService}`
  /** The sockets it serves, in the order of its descriptors from 4 on: listeners of services, and sockets in HOME/run. */
  readonly listens: readonly (SocketName | ListenerName)[]
  /** Gets the certificate and the key. */
  readonly tls: boolean
  /** It may put mail into the queue by way of the program that QMAILQUEUE names. */
  readonly injects: boolean
  /** Threads for file work (UV_THREADPOOL_SIZE); undefined leaves Node's own number. */
  readonly threads: number | undefined
  /** Path of the file to run; undefined: programs/NAME/main.ts beside this folder. */
  readonly file?: string
  /** Behind the arguments that every program gets. */
  readonly args?: readonly string[]
}

const plain = { for: undefined, listens: [], tls: false, injects: false, threads: undefined } as const

export const programs: readonly Program[] = [
  {
    ...plain,
    name: 'queue',
    role: 'queue',
    phase: 0,
    listens: [
      'queue-network',
      'queue-inject',
      'queue-remote',
      'queue-lspawn',
      'queue-admin',
      'queue-read',
      'queue-own',
    ],
    injects: true,
    threads: 16,
  },
  {
    ...plain,
    name: 'lspawn',
    role: 'root',
    phase: 1,
    // Sessions are in the users' own locals.
    for: ['local', ...loginServices],
    listens: ['lspawn-recipients', 'lspawn-tickets', 'lspawn-login'],
    injects: true,
    threads: 16,
  },
  { ...plain, name: 'remote', role: 'remote', phase: 2, for: ['remote'] },
  {
    ...plain,
    name: 'policy',
    role: 'policy',
    phase: 1,
    for: ['smtp', ...loginServices, ...relayServices],
    listens: ['policy', 'policy-names', 'policy-sent', 'policy-admin'],
  },
  { ...plain, name: 'exec', role: 'smtpd', phase: 1, for: ['smtp', ...relayServices], listens: ['exec'] },
  {
    ...plain,
    name: 'smtpd',
    role: 'smtpd',
    phase: 2,
    for: ['smtp'],
    listens: ['smtpd-admin', 'smtp'],
    tls: true,
    injects: true,
  },
  { ...plain, name: 'authd', role: 'authd', phase: 1, for: loginServices, listens: ['authd', 'authd-admin'] },
  { ...plain, name: 'issuers', role: 'issuers', phase: 1, for: loginServices, onlyWith: 'oauthissuers' },
  ...loginServices.map((service) => loginProgram(service)),
  { ...plain, name: 'signer', role: 'signer', phase: 1, onlyWith: 'dkimdomains', listens: ['queue-signer'] },
  ...relayServices.map((service) => relayProgram(service)),
  { ...plain, name: 'acme', role: 'acme', phase: 2, onlyWith: 'acme', listens: ['acme-admin'] },
  { ...plain, name: 'httpd', role: 'httpd', phase: 1, for: ['http'], onlyWith: 'listen-http', listens: ['http'] },
  {
    ...plain,
    name: 'httpsd',
    role: 'httpd',
    phase: 2,
    for: ['https'],
    onlyWith: 'listen-https',
    listens: ['https'],
    tls: true,
    file: fileOf('httpd'),
    args: ['--service', 'https'],
  },
  // With the queue's account, as qmail-qread had.
  { ...plain, name: 'qread', role: 'queue', phase: 1, for: ['qread'], onlyWith: 'listen-qread', listens: ['qread'] },
]

/** `login` once for each service: each logs under its own tag, and can run alone. */
function loginProgram(service: LoginService): Program {
  const { program: name } = services[service]
  const listens = listenersOf(service).map((listener) => listener.name)
  const args = ['--service', service]
  return { ...plain, name, role: 'login', phase: 2, for: [service], listens, tls: true, file: fileOf('login'), args }
}

/** `qmtpd` once for each protocol. */
function relayProgram(service: RelayService): Program {
  const { program: name } = services[service]
  const listens = listenersOf(service).map((listener) => listener.name)
  const way = { file: fileOf('qmtpd'), args: ['--service', service] }
  return {
    ...plain,
    name,
    role: 'smtpd',
    phase: 2,
    for: [service],
    onlyWith: `listen-${service}`,
    listens,
    injects: true,
    ...way,
  }
}

/** True: it does not listen before there is a certificate, since passwords must never come in clear. */
export function needsTls({ listens }: Pick<Program, 'listens'>): boolean {
  return listens.some((name) => (findListener(name)?.tls ?? '') !== '')
}

/** The same extension as this file: `.ts` in a clone, `.js` in a built tree. */
export function programFile(program: Pick<Program, 'name' | 'file'>): string {
  return program.file ?? fileOf(program.name)
}

function fileOf(name: string): string {
  return join(import.meta.dirname, '..', name, `main${extname(import.meta.filename)}`)
}
