/** Resolves the name of an account: an account of ours; or, in a site older than Quaver, the owner of a mailbox by a line of
 *  users/assign or as a user of the machine.
 *  Fails:  throws CommandError that says why no mailbox has the name. */
import { join } from 'node:path'
import { fromText, toText } from '../../base/byte-string.ts'
import { type Account, listAccounts } from '../../stores/accounts/accounts.ts'
import { parseAccountAddress } from '../../stores/accounts/address.ts'
import { listAliases } from '../../stores/accounts/aliases.ts'
import { Control } from '../../stores/control/control.ts'
import { routingTables } from '../../stores/control/routing-tables.ts'
import { listCredentials } from '../../stores/credentials/credentials.ts'
import type { Home } from '../../stores/home/layout.ts'
import { AccountBook, UserLookup } from '../../stores/users/lookup-user.ts'
import { mailboxOwner } from '../../stores/users/mailbox-owner.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { CommandError, exitCode } from './exit.ts'
import { isOwn } from './site-change.ts'

export async function requireAccount(home: Home, text: string): Promise<Account> {
  const name = text.toLowerCase()
  const accounts = await listAccounts(realFiles, home)
  const account = accounts.find(({ address }) => address === name)
  if (account !== undefined) return account
  const alike = accounts.filter(({ address }) => address.startsWith(`${name}@`)).map(({ address }) => address)
  if (alike.length > 0)
    throw new CommandError(
      `'${name}' alone would be a user of the machine; write the whole address: ${alike.slice(0, 5).join(' or ')}`,
      exitCode.usage,
    )
  const alias = (await listAliases(realFiles, home)).find(({ address }) => address === name)
  if (alias !== undefined)
    throw new CommandError(
      `${name} is an alias and has no password: it leads to ${alias.targets.map(toText).join(', ')}`,
    )
  const owner = await mailboxFinder(home)(fromText(name))
  if (owner === undefined) {
    // Says what is wrong with it, if it is no address at all.
    if (name.includes('@')) parseAccountAddress(name)
    throw noAccount(name)
  }
  // A process of another uid may look, but not read who has a password.
  const credentials = await listCredentials(home).catch(() => undefined)
  const { disabled = false, labels = [] } = credentials?.get(fromText(name)) ?? {}
  const apps = labels.filter((label) => label !== '')
  const maildir = join(owner.home, 'Maildir')
  return { address: name, ...owner, maildir, ownUid: false, hasPassword: labels.includes(''), disabled, apps }
}

export function noAccount(address: string): CommandError {
  return new CommandError(`${address} is no account ('quaver account list' shows all)`)
}

export type MailboxHolder = Pick<Account, 'user' | 'uid' | 'gid' | 'home'>

/** Finds the owner of a mailbox by name, as POP3 does. The function takes a ByteString; undefined: none, or unknown. */
export function mailboxFinder(home: Home): (name: string) => Promise<MailboxHolder | undefined> {
  const tables = routingTables(new Control(home.control, realClock))
  const accounts = isOwn(home) ? undefined : new AccountBook(realClock)
  const users = new UserLookup(home, { accounts, alias: () => Promise.resolve(undefined) })
  return async (name) => {
    if (tables === undefined || !/^[!-9;-~]{1,512}$/.test(name)) return undefined
    const owner = await mailboxOwner(name, tables, users)
    if (typeof owner === 'string' || (owner.uid === 0 && !isOwn(home))) return undefined
    return { user: toText(owner.user), uid: owner.uid, gid: owner.gid, home: toText(owner.home) }
  }
}
