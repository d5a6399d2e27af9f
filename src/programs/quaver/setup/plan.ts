/** The plan of `quaver setup`, from its options and facts of the machine. */
import { existsSync } from 'node:fs'
import { lookupService } from 'node:dns/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { toText } from '../../../base/byte-string.ts'
import { asHostName } from '../../../clients/dns/dns.ts'
import { isHttpsUrl } from '../../../protocols/acme/objects.ts'
import { parseRelay } from '../../../protocols/qmail/smtproutes.ts'
import { listAccounts } from '../../../stores/accounts/accounts.ts'
import { type AccountAddress, parseAccountAddress } from '../../../stores/accounts/address.ts'
import { Control } from '../../../stores/control/control.ts'
import { accountName } from '../../../stores/home/account-name.ts'
import { configurationOf, homePathFault, systemHome } from '../../../stores/home/find.ts'
import { accountOf, type Home, homeAt, type Role } from '../../../stores/home/layout.ts'
import { realClock, within } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import type { GlobalOptions } from '../context.ts'
import { publicAddresses } from '../dns-records.ts'
import { CommandError, exitCode } from '../exit.ts'
import { checkNames, machineAddresses } from '../machine/checks.ts'
import { systemNamed } from '../services/services.ts'
import { type InitSystemName, systemHere } from '../services/systems.ts'
import type { SendmailWish } from './machine-sendmail.ts'

export interface SetupOptions extends GlobalOptions {
  readonly host?: string
  readonly smarthost?: string
  readonly smarthostUser?: string
  readonly smarthostPasswordStdin?: true
  readonly service?: string
  readonly enable?: true
  readonly account?: readonly string[]
  readonly mailUser?: string
  readonly timeServer: string
  readonly ignore?: readonly string[]
  readonly dryRun?: true
  readonly yes?: true
  readonly selfTest: boolean
  readonly varQmail: boolean
  /** Undefined: where nobody has it. */
  readonly sendmail?: boolean
  /** True: of the usual authority. */
  readonly acme?: string | true
}

export interface Smarthost {
  readonly host: string
  readonly port: number
}

export interface SetupPlan {
  readonly address: AccountAddress
  readonly host: string
  readonly home: Home
  /** Where control/, users/ and tls/ are; undefined: in the home. */
  readonly configuration: string | undefined
  /** Accounts of roles that are not to have their usual names. */
  readonly accounts: ReadonlyMap<Role, string>
  /** The account of the machine that owns the mail of the domain. */
  readonly mailUser: string
  readonly smarthost: Smarthost | undefined
  /** What control/smarthostsecrets says of it. */
  readonly smarthostLogin: string | undefined
  readonly service: InitSystemName | undefined
  readonly varQmail: boolean
  readonly sendmail: SendmailWish
  /** Directory URL of the authority that makes the certificate. */
  readonly acme: string | undefined
}

const usualMailUser = 'vmail'
const usualAuthority = 'https://acme-v02.api.letsencrypt.org/directory'
const lookupMillisecondsMax = 5_000

export async function planOf(
  text: string,
  options: SetupOptions,
  smarthostPassword: string | undefined,
): Promise<SetupPlan> {
  const path = options.home ?? process.env['QUAVER_HOME'] ?? systemHome
  const fault = homePathFault(path)
  if (fault !== undefined) throw new CommandError(fault)
  if (!path.startsWith('/'))
    throw new CommandError(`--home ${path}: a system home has an absolute path`, exitCode.usage)
  const unknown = options.ignore?.find((name) => !checkNames.includes(name))
  if (unknown !== undefined)
    throw new CommandError(`--ignore ${unknown}: checks are ${checkNames.join(', ')}`, exitCode.usage)
  const home = homeAt(path)
  const address = parseAccountAddress(text)
  const accounts = accountsOf(options.account ?? linesOf(home, 'roles'))
  const mailUser = options.mailUser ?? (await ownerOfMail(home, address.domain)) ?? usualMailUser
  refuseRole(mailUser, accounts)
  return {
    address,
    host: await hostOf(home, options.host),
    home,
    configuration: configurationOf(path),
    accounts,
    mailUser,
    smarthost: smarthostOf(options.smarthost),
    smarthostLogin: smarthostLogin(options, smarthostPassword),
    service: serviceOf(options.service),
    varQmail: options.varQmail,
    sendmail: sendmailWish(path, options.sendmail),
    acme: acmeOf(home, options.acme),
  }
}

function sendmailWish(home: string, option: boolean | undefined): SendmailWish {
  if (option === true && home !== systemHome)
    throw new CommandError(`--sendmail: called as /usr/sbin/sendmail, it serves ${systemHome} alone`, exitCode.usage)
  if (home !== systemHome || option === false) return 'leave'
  return option === true ? 'take' : 'if-free'
}

/** The option, else the present setting. */
function acmeOf(home: Home, option: string | true | undefined): string | undefined {
  const line = new Control(home.control, realClock).optionalLine('acme')
  const known = line === undefined || line === '' ? undefined : toText(line)
  if (option === undefined) return known
  const url = option === true ? (known ?? usualAuthority) : option
  if (!isHttpsUrl(url))
    throw new CommandError(`--acme ${url}: write the https URL of an authority's directory`, exitCode.usage)
  if (known !== undefined && url !== known)
    throw new CommandError(`--acme ${url}: ${home.control}/acme says ${known}; change it there`)
  return url
}

/** The owner of mail must not be the account of a role. */
function refuseRole(mailUser: string, accounts: ReadonlyMap<Role, string>): void {
  const role = (Object.keys(accountOf) as Role[]).find((one) => accountName(accounts, one) === mailUser)
  if (role !== undefined)
    throw new CommandError(
      `--mail-user ${mailUser}: that is the account of the role '${role}'; mail needs one that does nothing else`,
      exitCode.usage,
    )
}

function linesOf(home: Home, name: 'roles'): string[] {
  return [...(new Control(home.control, realClock).map(name) ?? [])].map(
    ([role, account]) => `${role}:${toText(account)}`,
  )
}

/** Of accounts that are there already. */
async function ownerOfMail(home: Home, domain: string): Promise<string | undefined> {
  if (!existsSync(home.users)) return undefined
  const accounts = await listAccounts(realFiles, home)
  return accounts.find(({ address, ownUid }) => !ownUid && address.endsWith(`@${domain}`))?.user
}

function serviceOf(name: string | undefined): InitSystemName | undefined {
  if (name === 'none') return undefined
  return name === undefined ? systemHere() : systemNamed(name)
}

/** --host or control/me, else the machine's own name, else the DNS name of its address. */
async function hostOf(home: Home, option: string | undefined): Promise<string> {
  const me = new Control(home.control, realClock).optionalLine('me')
  const known = me === undefined ? undefined : toText(me)
  if (option !== undefined && known !== undefined && option.toLowerCase() !== known.toLowerCase())
    throw new CommandError(`--host ${option}: ${home.control}/me says ${known}; change it there, and in the DNS`)
  const given = option ?? known
  if (given !== undefined) {
    const name = asHostName(given)
    if (name?.includes('.') === true) return name
    throw new CommandError(`'${given}' is no full name of a host, such as mail.example.org`, exitCode.usage)
  }
  const own = hostname().toLowerCase()
  if (asHostName(own) !== undefined && own.includes('.') && !own.startsWith('localhost')) return own
  for (const address of publicAddresses(machineAddresses())) {
    const found = await within(realClock, lookupMillisecondsMax, 'name', lookupService(address, 25)).catch(
      () => undefined,
    )
    const name = asHostName(found?.hostname ?? '')
    if (name?.includes('.') === true && !/^[0-9.]+$/.test(name)) return name
  }
  throw new CommandError(
    `this machine does not know its full name (it says '${own}'): --host mail.example.org`,
    exitCode.usage,
  )
}

function accountsOf(lines: readonly string[]): ReadonlyMap<Role, string> {
  const found = new Map<Role, string>()
  for (const line of lines) {
    const [role = '', name = ''] = line.split(':')
    const known = (Object.keys(accountOf) as Role[]).find((one) => one === role && one !== 'root')
    if (known === undefined || !/^[a-z_][a-z0-9_-]{0,31}$/.test(name)) {
      const roles = Object.keys(accountOf).filter((one) => one !== 'root')
      throw new CommandError(`--account ${line}: write ROLE:NAME; roles are ${roles.join(', ')}`, exitCode.usage)
    }
    found.set(known, name)
  }
  return found
}

function smarthostOf(text: string | undefined): Smarthost | undefined {
  if (text === undefined) return undefined
  const relay = parseRelay(text)
  if (relay === undefined || relay.host === '')
    throw new CommandError(`--smarthost ${text}: write NAME or NAME:PORT`, exitCode.usage)
  return { host: toText(relay.host), port: relay.port ?? 25 }
}

function smarthostLogin(options: SetupOptions, password: string | undefined): string | undefined {
  const { smarthost, smarthostUser } = options
  if (smarthostUser === undefined) return undefined
  if (smarthost === undefined) throw new CommandError('--smarthost-user goes with --smarthost', exitCode.usage)
  if (password === undefined)
    throw new CommandError('--smarthost-user needs --smarthost-password-stdin', exitCode.usage)
  if (/\s/.test(smarthostUser) || password.includes('\n'))
    throw new CommandError('a login at the smarthost has no blank in its name, and no line end', exitCode.usage)
  return `${smarthost} ${smarthostUser} ${password}`
}

/** Where a part of the home is: with a system home, the configuration lies in /etc. */
export function placeOf({ home, configuration }: SetupPlan, name: 'control' | 'users' | 'tls'): string {
  return configuration === undefined ? home[name] : join(configuration, name)
}
