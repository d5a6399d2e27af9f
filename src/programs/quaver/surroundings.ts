/** What `quaver control check` checks a home's files against: its other files, the accounts that read them, the programs that
 *  they name.
 *  Fails:  an account that cannot be looked up owns nothing. */
import { existsSync, statSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { type ByteString, fromText, lowerAscii, toText } from '../../base/byte-string.ts'
import { builtInCheckNames } from '../../protocols/qmail/rcptchecks.ts'
import { isBuiltInFilter } from '../../clients/queue/built-in-filters.ts'
import { builtInPlugInNames } from '../../protocols/spp/plug-ins.ts'
import { hostKeys } from '../../protocols/smtp/address.ts'
import type { Control } from '../../stores/control/control.ts'
import type { LineFault, ProgramUse, Surroundings } from '../../stores/control/form.ts'
import { listCredentials } from '../../stores/credentials/credentials.ts'
import { accountName } from '../../stores/home/account-name.ts'
import type { Home, Role } from '../../stores/home/layout.ts'
import { accessFault, type Reader } from '../../system/access.ts'
import type { Account } from '../../system/accounts.ts'
import { MailOwners } from './mail-owners.ts'
import { signingKeyFault } from './signing-key-check.ts'

/** The roles as which the programs of a row's `readBy` read; `quaver` runs as any user. */
const roleOf: ReadonlyMap<string, Role | 'anybody'> = new Map([
  ['smtpd', 'smtpd'],
  ['exec', 'smtpd'],
  ['qmtpd', 'smtpd'],
  ['qmqpd', 'smtpd'],
  ['ofmipd', 'login'],
  ['pop3d', 'login'],
  ['policy', 'policy'],
  ['authd', 'authd'],
  ['issuers', 'issuers'],
  ['signer', 'signer'],
  ['acme', 'acme'],
  ['httpsd', 'httpd'],
  ['queue', 'queue'],
  ['remote', 'remote'],
  ['lspawn', 'root'],
  ['start', 'root'],
  ['local', 'anybody'],
])

const anybody: Reader = { account: 'of each recipient', uid: undefined, gid: undefined }
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Asks the machine for an account by its name. */
export type FindAccount = (name: string) => Promise<Account | undefined>

export class HomeReaders {
  readonly isDemo: boolean
  private readonly byRole: ReadonlyMap<Role | 'anybody', Reader>

  private constructor(isDemo: boolean, byRole: ReadonlyMap<Role | 'anybody', Reader>) {
    this.isDemo = isDemo
    this.byRole = byRole
  }

  /** In a demo its owner reads everything. */
  static async of(home: Home, control: Control, find: FindAccount): Promise<HomeReaders> {
    if (existsSync(join(home.path, 'demo-password'))) {
      const { uid, gid } = statSync(home.path)
      const owner: Reader = { account: `of uid ${uid}`, uid, gid }
      return new HomeReaders(true, new Map([...rolesRead, 'alias' as const].map((role) => [role, owner])))
    }
    const overrides = control.map('roles')
    const readers = [...rolesRead, 'alias' as const].map(async (role) => {
      if (role === 'anybody') return [role, anybody] as const
      const name = accountName(overrides, role)
      const account = await find(name).catch(() => undefined)
      return [role, { account: name, uid: account?.uid, gid: account?.gid }] as const
    })
    return new HomeReaders(false, new Map(await Promise.all(readers)))
  }

  reader(role: Role | 'anybody'): Reader {
    return this.byRole.get(role) ?? anybody
  }

  /** Each account once. */
  ofPrograms(programs: readonly string[]): Reader[] {
    const roles = programs.map((program) => roleOf.get(program)).filter((role) => role !== undefined)
    return [...new Set(roles.map((role) => this.reader(role)))]
  }
}

const rolesRead: readonly (Role | 'anybody')[] = [...new Set(roleOf.values())]

export async function surroundingsOf(
  home: Home,
  control: Control,
  readers: HomeReaders,
  find: FindAccount,
): Promise<Surroundings> {
  const accepted = new Set(
    [...(control.list('rcpthosts') ?? []), ...(control.list('morercpthosts') ?? [])].map(lowerAscii),
  )
  const names = [...new Set(control.map('roles')?.values())]
  const accounts = new Set<string>()
  for (const name of names) if ((await find(name).catch(() => undefined)) !== undefined) accounts.add(name)
  const prepends = [...(control.map('virtualdomains')?.values() ?? [])].filter((value) => value !== '')
  const owners = await MailOwners.of(home, prepends, readers.isDemo ? undefined : find)
  const known = await knownLogins(home, control)
  return {
    locals: new Set(control.list('locals')?.map(lowerAscii)),
    isAccepted(domain) {
      if (!control.isPresent('rcpthosts') || isOnlyHere(domain)) return true
      return [...hostKeys(domain)].some((key) => accepted.has(key))
    },
    usesPatterns: (control.list('rcptchecks') ?? []).some((check) => nameOf(check) === 'qmail-rcptcheck-qregex'),
    programFault: (program, use) => programFault(home, program, use, readers),
    hasOwner: (prepend) => owners.has(prepend),
    mayLogIn: (account) => known?.has(account) !== false,
    signingKeyFault: (domain, selector) => signingKeyFault(home, { domain, selector }, readers.reader('signer')),
    hasAccount: (name) => accounts.has(name),
  }
}

/** Undefined: a checker or an issuer may know others, or the caller may not read the list. */
async function knownLogins(home: Home, control: Control): Promise<ReadonlySet<ByteString> | undefined> {
  if (control.isPresent('checkpassword') || control.isPresent('oauthissuers')) return undefined
  const kept = await listCredentials(home).catch(() => undefined)
  return kept === undefined ? undefined : new Set([...kept.keys()].map(fromText))
}

/** Names that no other host sends to. */
function isOnlyHere(domain: ByteString): boolean {
  return domain === 'localhost' || domain.startsWith('localhost.')
}

const runBy: Readonly<Record<ProgramUse, Role | 'anybody'>> = {
  'plug-in': 'smtpd',
  'recipient check': 'smtpd',
  filter: 'smtpd',
  'submission filter': 'anybody',
  'password checker': 'root',
  'certificate hook': 'acme',
  program: 'anybody',
}

function programFault(home: Home, line: ByteString, use: ProgramUse, readers: HomeReaders): LineFault | undefined {
  if (isBuiltIn(line, use)) return undefined
  // Lines of other kinds are a path, including blanks.
  const hasArguments = use === 'password checker' || use === 'certificate hook'
  const program = toText(hasArguments ? (line.split(' ').find((word) => word !== '') ?? '') : line)
  const reader = readers.reader(runBy[use])
  const named = `names the ${use} ${program}`
  if (program.includes('/')) {
    const fault = accessFault(resolve(home.path, program), reader, 'run')
    return fault === undefined ? undefined : { fault: `${named}, which ${fault.fault}`, remedy: fault.remedy }
  }
  // qmail's own programs come into bin/ at the first start.
  if (use === 'program' && !existsSync(home.bin)) return undefined
  const directories = [
    ...(use === 'program' ? [home.bin] : []),
    ...(process.env['PATH'] ?? defaultPath).split(delimiter),
  ]
  if (directories.some((directory) => accessFault(join(directory, program), reader, 'run') === undefined))
    return undefined
  return { fault: `${named}, which no directory of PATH has`, remedy: 'write its whole path' }
}

function isBuiltIn(line: ByteString, use: ProgramUse): boolean {
  if (use === 'plug-in') return builtInPlugInNames.includes(nameOf(line))
  if (use === 'recipient check') return builtInCheckNames.includes(nameOf(line))
  return (use === 'filter' || use === 'submission filter') && isBuiltInFilter(line)
}

function nameOf(program: ByteString): ByteString {
  return program.slice(program.lastIndexOf('/') + 1)
}
