/** Where things are in a home, with owner and mode. `start` makes them by this table, and `doctor` checks them by it. In the
 *  demo the caller owns everything. */
import { join } from 'node:path'

/** Roles, not account names: a system home maps each role to an account, looked up at run time. */
export type Role =
  | 'root'
  | 'alias'
  | 'smtpd'
  | 'login'
  | 'policy'
  | 'authd'
  | 'queue'
  | 'remote'
  | 'issuers'
  | 'signer'
  | 'acme'
  | 'httpd'

/** qmail's account names; control/roles overrides one with a line `role:account`. */
export const accountOf: Readonly<Record<Role, string>> = {
  root: 'root',
  alias: 'alias',
  smtpd: 'qmaild',
  login: 'qmailf',
  policy: 'qmailc',
  authd: 'qmailp',
  queue: 'qmailq',
  remote: 'qmailr',
  issuers: 'qmailo',
  signer: 'qmailk',
  acme: 'qmailx',
  httpd: 'qmailw',
}

/** Roles of some homes only, by the control file that asks for the program. */
export const rolesOnRequest = {
  issuers: 'oauthissuers',
  signer: 'dkimdomains',
  acme: 'acme',
  httpd: 'listen-http',
} as const satisfies Partial<Record<Role, string>>

export function isOnRequest(role: string): role is keyof typeof rolesOnRequest {
  return Object.hasOwn(rolesOnRequest, role)
}

export interface Home {
  readonly path: string
  readonly control: string
  readonly users: string
  readonly alias: string
  readonly queue: string
  readonly run: string
  readonly tls: string
  readonly auth: string
  readonly greylist: string
  readonly issuers: string
  readonly reports: string
  readonly acme: string
  readonly mtaSts: string
  readonly tlsReports: string
  readonly mail: string
  readonly bin: string
  readonly log: string
}

export function homeAt(path: string): Home {
  const at = (name: string): string => join(path, name)
  return {
    path,
    control: at('control'),
    users: at('users'),
    alias: at('alias'),
    queue: at('queue'),
    run: at('run'),
    tls: at('tls'),
    auth: at('auth'),
    greylist: at('greylist'),
    issuers: at('issuers'),
    reports: at('reports'),
    acme: at('acme'),
    mtaSts: at('mta-sts'),
    tlsReports: at('tls-reports'),
    mail: at('mail'),
    bin: at('bin'),
    log: at('log'),
  }
}

/** Directories of a home, in the order in which they are made. */
export const directories: readonly { readonly name: string; readonly owner: Role; readonly mode: number }[] = [
  { name: '', owner: 'root', mode: 0o755 },
  { name: 'control', owner: 'root', mode: 0o755 },
  { name: 'users', owner: 'root', mode: 0o755 },
  { name: 'alias', owner: 'alias', mode: 0o2755 },
  // May be entered, not listed, for queue/drop is below it. Files in it are 0600.
  { name: 'queue', owner: 'queue', mode: 0o711 },
  { name: 'queue/content', owner: 'queue', mode: 0o700 },
  { name: 'queue/drop', owner: 'root', mode: 0o1777 },
  { name: 'run', owner: 'root', mode: 0o755 },
  // A socket for each `local`, made by lspawn; the socket's own mode says who may connect.
  { name: 'run/local', owner: 'root', mode: 0o755 },
  { name: 'tls', owner: 'root', mode: 0o700 },
  { name: 'auth', owner: 'authd', mode: 0o700 },
  { name: 'greylist', owner: 'policy', mode: 0o700 },
  // Public keys: all may read them; the writer decides who may log in by token.
  { name: 'issuers', owner: 'issuers', mode: 0o755 },
  { name: 'reports', owner: 'root', mode: 0o755 },
  // DMARC reports of others about our domains: written by the program in alias/.qmail-dmarc-reports.
  { name: 'reports/received', owner: 'alias', mode: 0o700 },
  // Our reports that bounced: noted by the same program, for policy, which sends them.
  { name: 'reports/failed', owner: 'alias', mode: 0o755 },
  { name: 'reports/dmarc', owner: 'policy', mode: 0o700 },
  // The account's key in it is 0600.
  { name: 'acme', owner: 'acme', mode: 0o755 },
  // Policies of other domains: all may read them; the writer decides how mail to those domains goes out.
  { name: 'mta-sts', owner: 'remote', mode: 0o755 },
  // Private: it shows which domains mail went to.
  { name: 'tls-reports', owner: 'remote', mode: 0o700 },
  { name: 'mail', owner: 'root', mode: 0o755 },
  { name: 'bin', owner: 'root', mode: 0o755 },
  { name: 'log', owner: 'root', mode: 0o755 },
]

/** Unix sockets in HOME/run. `start` binds each, sets owner and mode, and only then lets it be listened on: whoever may write
 *  to the file may connect. The serving program gets the descriptor under the name here. */
export const sockets = {
  /** smtpd enqueues here: its mail is "from network". */
  'queue-network': { owner: 'smtpd', mode: 0o600, servedBy: 'queue' },
  /** Any user of the machine enqueues here: the mail is "by uid N", with N from the kernel. */
  'queue-inject': { owner: 'root', mode: 0o666, servedBy: 'queue' },
  'queue-remote': { owner: 'remote', mode: 0o600, servedBy: 'queue' },
  'queue-lspawn': { owner: 'root', mode: 0o600, servedBy: 'queue' },
  /** qread reads here what is in the queue, and can do nothing else. */
  'queue-read': { owner: 'queue', mode: 0o600, servedBy: 'queue' },
  /** Any user of the machine sees here which mail of their own still waits; root sees everything. */
  'queue-own': { owner: 'root', mode: 0o666, servedBy: 'queue' },
  /** queue asks here for the signatures of a message that it is about to commit. */
  'queue-signer': { owner: 'queue', mode: 0o600, servedBy: 'signer' },
  'queue-admin': { owner: 'root', mode: 0o600, servedBy: 'queue' },
  /** The command line asks here what smtpd would say. */
  'smtpd-admin': { owner: 'root', mode: 0o600, servedBy: 'smtpd' },
  /** smtpd asks here whether a local recipient exists. */
  'lspawn-recipients': { owner: 'smtpd', mode: 0o600, servedBy: 'lspawn' },
  /** authd tells lspawn here of successful logins. */
  'lspawn-tickets': { owner: 'authd', mode: 0o600, servedBy: 'lspawn' },
  /** login asks here for the session that a ticket stands for. */
  'lspawn-login': { owner: 'login', mode: 0o600, servedBy: 'lspawn' },
  /** login asks here to check a client's credentials. */
  authd: { owner: 'login', mode: 0o600, servedBy: 'authd' },
  /** The command line lists and lifts lockouts here. */
  'authd-admin': { owner: 'root', mode: 0o600, servedBy: 'authd' },
  /** smtpd asks here about names, SPF, DNS lists and greylisting. */
  policy: { owner: 'smtpd', mode: 0o600, servedBy: 'policy' },
  /** remote tells here which domains mail of ours has gone to. */
  'policy-sent': { owner: 'remote', mode: 0o600, servedBy: 'policy' },
  /** The command line asks here which reports are owed. */
  'policy-admin': { owner: 'root', mode: 0o600, servedBy: 'policy' },
  /** login asks here about names. */
  'policy-names': { owner: 'login', mode: 0o600, servedBy: 'policy' },
  /** Plug-ins are run here, for smtpd and as smtpd's account. */
  exec: { owner: 'smtpd', mode: 0o600, servedBy: 'exec' },
  start: { owner: 'root', mode: 0o600, servedBy: 'start' },
  /** acme asks here what is to be certified, and hands over the chain that the authority issued. */
  'start-certificates': { owner: 'acme', mode: 0o600, servedBy: 'start' },
  /** The command line has the certificate renewed here. */
  'acme-admin': { owner: 'root', mode: 0o600, servedBy: 'acme' },
} as const satisfies Record<string, { owner: Role; mode: number; servedBy: string }>

export type SocketName = keyof typeof sockets

export function isSocketName(name: string): name is SocketName {
  return Object.hasOwn(sockets, name)
}

export function socketPath(home: Home, name: SocketName): string {
  return join(home.run, `${name}.sock`)
}
