/** Accounts of hosted domains, kept in qmail's own files: control/virtualdomains `D:D`, control/rcpthosts `D`, and for
 *  each account lines `=D-local:…`, `+D-local-:…` and `+D-local+:…` in users/assign; its mail is in HOME/mail/D/local/Maildir.
 *  Knows:  the order that leaves nothing half-made: mailbox, assignment, password, and only then the domain. Removal takes the
 *          password first, so that a half-removed account can be removed again.
 *  Never:  touches lines that it did not write; hashes passwords.
 *  Fails:  throws AccountError with the place and the remedy. */
import { join } from 'node:path'
import { realClock } from '../../system/clock.ts'
import type { Files } from '../../system/files.ts'
import { Control } from '../control/control.ts'
import {
  listCredentials,
  putSecrets,
  setCredential,
  removeAccount as removeCredentials,
} from '../credentials/credentials.ts'
import type { Secrets } from '../credentials/derive.ts'
import { spellings } from '../credentials/spellings.ts'
import type { Home } from '../home/layout.ts'
import { AccountError } from '../home/account-error.ts'
import { type AccountAddress, textOf } from './address.ts'
import { type Alias, placeAlias } from './aliases.ts'
import {
  type AssignOwner,
  accountLines,
  aliasLine,
  earlierMail,
  keyIn,
  keyOf,
  movedRemedy,
  uidIn,
} from './assign-lines.ts'
import { leaveSite, roleNames } from './leaving.ts'
import { mailHome, makeMailbox } from './mailbox.ts'
import { addDomainLines, changeSite, checkDomain, readSite, type Site, writeAssign } from './site-files.ts'

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
  /** Mail that an earlier account of that name left in the mailbox: given to this one, or a reason to refuse. */
  readonly oldMail?: 'given' | 'refused'
  /** Names in the same domain whose mail it also gets, unless another account or alias has them. */
  readonly alsoFor?: readonly string[]
}

export async function addAccount(files: Files, home: Home, account: NewAccount): Promise<void> {
  const { address, owner, ownUid = false } = account
  await changeSite(files, home, async (site) => {
    checkNew(site, account, home)
    await checkDomain(files, home, site, address.domain)
    await makeMailbox(home, address, owner, account.oldMail ?? 'refused')
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

/** Does what is left of an `addAccount` that was killed after it wrote users/assign, with another password. */
export async function completeAccount(
  files: Files,
  home: Home,
  address: AccountAddress,
  password: string,
): Promise<void> {
  await changeSite(files, home, async (site) => {
    await writeAssign(files, home, site.lines)
    await setCredential(home, textOf(address), '', password)
    await addDomainLines(files, home, address.domain)
  })
}

/** In the order of users/assign. */
export async function listAccounts(files: Files, home: Home): Promise<Account[]> {
  const { accounts } = await readSite(files, home)
  // A process of another uid may list accounts, but not read who has a password.
  const credentials = await listCredentials(home).catch(() => undefined)
  const control = new Control(home.control, realClock)
  const [host, locals] = [control.optionalLine('envnoathost') ?? '', control.list('locals') ?? []]
  return accounts.map(({ local, domain, user, uid, gid, directory, ownUid }) => {
    const address = `${local}@${domain}`
    const { labels = [] } = credentials?.get(address) ?? {}
    // As in authd, an account is disabled if any of its names is.
    const disabled = spellings(address, host, locals).some((name) => credentials?.get(name)?.disabled === true)
    const apps = labels.filter((label) => label !== '')
    const maildir = join(directory, 'Maildir')
    const hasPassword = labels.includes('')
    return { address, user, uid, gid, home: directory, maildir, ownUid, hasPassword, disabled, apps }
  })
}

/** Removes passwords and assignment, and the account from the aliases that led to it; the mail stays. The role addresses of its
 *  domain go to the domain's next account. Returns the changed aliases. */
export async function removeAccount(files: Files, home: Home, address: AccountAddress): Promise<readonly Alias[]> {
  return await changeSite(files, home, async (site) => {
    const account = site.accounts.find((one) => textOf(one) === textOf(address))
    if (account === undefined)
      throw new AccountError(`${textOf(address)} is no account ('quaver account list' shows all)`)
    await removeCredentials(home, textOf(address))
    const left = await leaveSite(files, home, site, [account])
    await writeAssign(files, home, left.lines)
    await left.afterwards()
    return left.changed
  })
}

function checkNew({ accounts, aliases, lines }: Site, { address, owner, ownUid }: NewAccount, home: Home): void {
  const text = textOf(address)
  if (accounts.some((one) => textOf(one) === text))
    throw new AccountError(`${text} is an account already ('quaver account list' shows all)`)
  const isAlias = aliases.some((alias) => textOf(alias.address) === text)
  const others = isAlias ? undefined : lines.find((line) => line.startsWith('=') && keyIn(line) === keyOf(address))
  if (others !== undefined) {
    const before = earlierMail(others, home.mail)
    const remedy = before === undefined ? '' : `: ${movedRemedy(before, home)}`
    throw new AccountError(`users/assign has a line for ${text} that is not ours: '=${keyOf(address)}:'${remedy}`)
  }
  const same = accounts.find((one) => one.uid === owner.uid && (ownUid === true || one.ownUid))
  if (same?.ownUid === true)
    throw new AccountError(
      `'${owner.user}' is the own uid of ${textOf(same)}: name another account of the machine with --user`,
    )
  const remedy = '--own-uid needs an account of the machine for this address alone (--user)'
  if (same !== undefined) throw new AccountError(`'${owner.user}' owns the mail of ${textOf(same)}, too: ${remedy}`)
  if (ownUid !== true) return
  // A line of a forward or of the administrator. An alias of this name gives way.
  const other = lines.find((line) => uidIn(line) === owner.uid && !(isAlias && keyIn(line) === keyOf(address)))
  if (other !== undefined)
    throw new AccountError(
      `'${owner.user}' has a line of users/assign, too, '${other.slice(0, 1)}${keyIn(other)}:': ${remedy}`,
    )
}
