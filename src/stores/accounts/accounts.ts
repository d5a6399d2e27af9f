/** Accounts of hosted domains, kept in qmail's own files: control/virtualdomains `D:D`, control/rcpthosts `D`, and for
 *  each account lines `=D-local:…`, `+D-local-:…` and `+D-local+:…` in users/assign; its mail is in HOME/mail/D/local/Maildir.
 *  Knows:  the order that leaves nothing half-made: mailbox, assignment, password, and only then the domain; back, the
 *          password first, so that what is left of an account can be removed again.
 *  Never:  touches lines that it did not write; hashes passwords.
 *  Fails:  throws AccountError with the place and the remedy. */
import { join } from 'node:path'
import type { ByteString } from '../../base/byte-string.ts'
import type { Files } from '../../system/files.ts'
import { listCredentials, putSecrets, removeAccount as removeCredentials } from '../credentials/credentials.ts'
import type { Secrets } from '../credentials/derive.ts'
import type { Home } from '../home/layout.ts'
import { type AccountAddress, AccountError, textOf } from './address.ts'
import { type Alias, type PlacedAlias, placeAlias, targetsOf } from './aliases.ts'
import {
  type AssignOwner,
  accountLines,
  aliasLine,
  type FoundAccount,
  keyIn,
  keyOf,
  readAccountLine,
  uidIn,
} from './assign-lines.ts'
import { mailHome, makeMailbox } from './mailbox.ts'
import { addDomainLines, changeSite, checkDomain, readSite, type Site, writeAssign } from './site-files.ts'

/** Addresses that each domain should have (RFC 5321 §4.5.1, RFC 2142). */
export const roleNames: readonly string[] = ['postmaster', 'abuse', 'hostmaster']

export interface Account extends AssignOwner {
  readonly address: string
  readonly home: string
  readonly maildir: string
  /** No other account has its uid. */
  readonly ownUid: boolean
  readonly hasPassword: boolean
  readonly disabled: boolean
  /** Names of its further passwords. */
  readonly apps: readonly string[]
}

export interface NewAccount {
  readonly address: AccountAddress
  readonly owner: AssignOwner
  /** No other account may have its uid. */
  readonly ownUid?: boolean
  /** Of its main password. */
  readonly secrets: Secrets
  /** Names in the same domain whose mail it gets, too, where nobody has it. */
  readonly alsoFor?: readonly string[]
}

export async function addAccount(files: Files, home: Home, account: NewAccount): Promise<void> {
  const { address, owner, ownUid = false } = account
  await changeSite(files, home, async (site) => {
    checkNew(site, account)
    await checkDomain(files, home, site, address.domain)
    await makeMailbox(home, address, owner)
    const directory = mailHome(home, address)
    // An account takes over an alias of its name.
    const placed = await placeAlias(files, home, site, site.lines, address, [], owner)
    const isFirst = !site.accounts.some(({ domain }) => domain === address.domain)
    const others = [...(isFirst ? roleNames : []), ...(account.alsoFor ?? [])].filter((name) => name !== address.local)
    const more = others
      .map((name): AccountAddress => ({ local: name, domain: address.domain }))
      .filter((other) => !site.lines.some((line) => line.startsWith('=') && keyIn(line) === keyOf(other)))
      .map((other) => aliasLine(other, owner, directory))
    await writeAssign(files, home, [
      ...placed.lines,
      ...accountLines(keyOf(address), owner, directory, ownUid),
      ...more,
    ])
    await placed.afterwards()
    await putSecrets(home, textOf(address), account.secrets)
    await addDomainLines(files, home, address.domain)
  })
}

/** In the order of users/assign. */
export async function listAccounts(files: Files, home: Home): Promise<Account[]> {
  const { accounts } = await readSite(files, home)
  // Another account's process may list, without knowing who has a password.
  const credentials = await listCredentials(home).catch(() => undefined)
  return accounts.map(({ local, domain, user, uid, gid, directory, ownUid }) => {
    const address = `${local}@${domain}`
    const { disabled = false, labels = [] } = credentials?.get(address) ?? {}
    const apps = labels.filter((label) => label !== '')
    const maildir = join(directory, 'Maildir')
    const hasPassword = labels.includes('')
    return { address, user, uid, gid, home: directory, maildir, ownUid, hasPassword, disabled, apps }
  })
}

/** Takes passwords, assignment, and the account out of the aliases that led to it; the mail stays. The addresses that
 *  each domain should have go to its next account. The answer: what became of those aliases. */
export async function removeAccount(files: Files, home: Home, address: AccountAddress): Promise<readonly Alias[]> {
  return await changeSite(files, home, async (site) => {
    const account = site.accounts.find((one) => textOf(one) === textOf(address))
    if (account === undefined)
      throw new AccountError(`${textOf(address)} is no account ('quaver account list' shows all)`)
    await removeCredentials(home, textOf(address))
    return await removeAssignment(files, home, site, account)
  })
}

async function removeAssignment(files: Files, home: Home, site: Site, account: FoundAccount): Promise<Alias[]> {
  const address = textOf(account)
  const rest = { ...site, accounts: site.accounts.filter((one) => one !== account) }
  const heir = rest.accounts.find(({ domain }) => domain === account.domain)
  let lines: readonly string[] = withoutAccount(site.lines, account, home.mail)
  const changed: Alias[] = []
  const placed: PlacedAlias[] = []
  for (const alias of site.aliases) {
    const before = await targetsOf(files, home, alias)
    const isRole = alias.address.domain === account.domain && roleNames.includes(alias.address.local)
    const targets = withoutTarget(before, address, isRole ? heir : undefined)
    if (targets.length === before.length && targets.every((target, at) => target === before[at])) continue
    const one = await placeAlias(files, home, rest, lines, alias.address, targets, alias.owner)
    lines = one.lines
    placed.push(one)
    changed.push({ address: textOf(alias.address), targets })
  }
  await writeAssign(files, home, lines)
  for (const one of placed) await one.afterwards()
  return changed
}

/** `heir` takes the last one's place. */
function withoutTarget(
  targets: readonly ByteString[],
  address: string,
  heir: AccountAddress | undefined,
): readonly ByteString[] {
  const others = targets.filter((target) => target.toLowerCase() !== address)
  return others.length === 0 && targets.length > 0 && heir !== undefined ? [textOf(heir)] : others
}

function withoutAccount(lines: readonly string[], account: FoundAccount, mail: string): string[] {
  const extensions = [`${keyOf(account)}-`, `${keyOf(account)}+`]
  return lines.filter((line) => {
    const found = readAccountLine(line, mail)
    if (found !== undefined) return textOf(found) !== textOf(account)
    // Its extensions, unless an administrator sends them elsewhere.
    return !(line.startsWith('+') && extensions.includes(keyIn(line)) && line.split(':')[4] === account.directory)
  })
}

function checkNew({ accounts, aliases, lines }: Site, { address, owner, ownUid }: NewAccount): void {
  const text = textOf(address)
  if (accounts.some((one) => textOf(one) === text))
    throw new AccountError(`${text} is an account already ('quaver account list' shows all)`)
  const isAlias = aliases.some((alias) => textOf(alias.address) === text)
  if (!isAlias && lines.some((line) => line.startsWith('=') && keyIn(line) === keyOf(address)))
    throw new AccountError(`users/assign has a line for ${text} that is not ours: '=${keyOf(address)}:'`)
  const same = accounts.find((one) => one.uid === owner.uid && (ownUid === true || one.ownUid))
  if (same?.ownUid === true)
    throw new AccountError(
      `'${owner.user}' is the own uid of ${textOf(same)}: name another account of the machine with --user`,
    )
  const remedy = '--own-uid needs an account of the machine for this address alone (--user)'
  if (same !== undefined) throw new AccountError(`'${owner.user}' owns the mail of ${textOf(same)}, too: ${remedy}`)
  if (ownUid !== true) return
  // What forwards, or was written by an administrator. An alias of this name gives way.
  const other = lines.find((line) => uidIn(line) === owner.uid && !(isAlias && keyIn(line) === keyOf(address)))
  if (other !== undefined)
    throw new AccountError(
      `'${owner.user}' has a line of users/assign, too, '${other.slice(0, 1)}${keyIn(other)}:': ${remedy}`,
    )
}
