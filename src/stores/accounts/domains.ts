/** Hosted domains: control/virtualdomains `D:D` and control/rcpthosts `D`; their accounts and aliases are in users/assign.
 *  Fails:  throws AccountError with the place and the remedy, else as Node does. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Files } from '../../system/files.ts'
import { removeAccount as removeCredentials } from '../credentials/credentials.ts'
import type { Home } from '../home/layout.ts'
import { AccountError } from '../home/account-error.ts'
import { type AccountAddress, textOf } from './address.ts'
import { type Alias, placeAlias, type PlacedAlias, removeForwards } from './aliases.ts'
import {
  type AssignOwner,
  directoryIn,
  domainOfKey,
  type FoundAccount,
  keyIn,
  keyOf,
  readAliasLine,
} from './assign-lines.ts'
import { leaveSite, roleNames } from './leaving.ts'
import { makeDomainDirectory } from './mailbox.ts'
import {
  addDomainLines,
  changeSite,
  checkDomain,
  readSite,
  removeDomainLines,
  type Site,
  writeAssign,
} from './site-files.ts'

export interface Domain {
  readonly domain: string
  readonly accounts: number
  readonly aliases: number
}

export async function listDomains(files: Files, home: Home): Promise<Domain[]> {
  const { domains, accounts, aliases } = await readSite(files, home)
  return domains.map((domain) => ({
    domain,
    accounts: accounts.filter((one) => one.domain === domain).length,
    aliases: aliases.filter((one) => one.address.domain === domain).length,
  }))
}

/** Postmaster, abuse and hostmaster lead to `target`, else to the domain's first account; if it has none, they are made when
 *  its first account is added. Returns where they lead, if anywhere. */
export async function addDomain(
  files: Files,
  home: Home,
  domain: string,
  target: ByteString | undefined,
  forwarder: AssignOwner,
): Promise<ByteString | undefined> {
  return await changeSite(files, home, async (site) => {
    if (site.domains.includes(domain))
      throw new AccountError(`${domain} is hosted here already ('quaver domain list' shows all)`)
    await checkDomain(files, home, site, domain)
    await makeDomainDirectory(home, domain)
    const first = site.accounts.find((one) => one.domain === domain)
    const to = target ?? (first === undefined ? undefined : textOf(first))
    if (to !== undefined) await addRoles(files, home, site, domain, to, forwarder)
    await addDomainLines(files, home, domain)
    return to
  })
}

export interface RemovedDomain {
  /** Their mail stays. */
  readonly accounts: readonly FoundAccount[]
  /** Aliases of other domains that led to them, as they are now. */
  readonly aliases: readonly Alias[]
}

/** Throws AccountError while the domain has accounts, unless they are to be removed with it. */
export async function removeDomain(
  files: Files,
  home: Home,
  domain: string,
  withAccounts: boolean,
): Promise<RemovedDomain> {
  return await changeSite(files, home, async (site) => {
    if (!site.domains.includes(domain))
      throw new AccountError(`${domain} is not hosted here ('quaver domain list' shows all)`)
    const accounts = site.accounts.filter((one) => one.domain === domain)
    if (accounts.length > 0 && !withAccounts)
      throw new AccountError(
        `${domain} has ${accounts.length} account${accounts.length === 1 ? '' : 's'}, such as ${textOf(accounts[0] ?? { local: '', domain })}: remove them first, or give --accounts`,
      )
    for (const account of accounts) await removeCredentials(home, textOf(account))
    // Its own aliases go with it, wherever they lead.
    const others = site.aliases.filter(({ address }) => address.domain !== domain)
    const left = await leaveSite(files, home, { ...site, aliases: others }, accounts)
    await writeAssign(
      files,
      home,
      left.lines.filter((line) => !isOurs(line, home, site, domain, accounts)),
    )
    await left.afterwards()
    await removeForwards(home, domain)
    await removeDomainLines(files, home, domain)
    return { accounts, aliases: left.changed }
  })
}

async function addRoles(
  files: Files,
  home: Home,
  site: Site,
  domain: string,
  target: ByteString,
  forwarder: AssignOwner,
): Promise<void> {
  let lines = site.lines
  const placed: PlacedAlias[] = []
  for (const local of roleNames) {
    const address: AccountAddress = { local, domain }
    if (lines.some((line) => line.startsWith('=') && keyIn(line) === keyOf(address))) continue
    const one = await placeAlias(files, home, site, lines, address, [target], forwarder)
    lines = one.lines
    placed.push(one)
  }
  if (placed.length === 0) return
  await writeAssign(files, home, lines)
  for (const one of placed) await one.afterwards()
}

function isOurs(
  line: string,
  home: Home,
  { domains }: Site,
  domain: string,
  accounts: readonly FoundAccount[],
): boolean {
  if (domainOfKey(keyIn(line), domains) !== domain) return false
  if (readAliasLine(line, home.mail, domains) !== undefined) return true
  return line.startsWith('+') && accounts.some(({ directory }) => directoryIn(line) === directory)
}
