/** `quaver account password`, `disable` and `enable`. */
import { fromText, toText } from '../../base/byte-string.ts'
import { listAccounts } from '../../stores/accounts/accounts.ts'
import { listAliases } from '../../stores/accounts/aliases.ts'
import { parseAccountAddress } from '../../stores/accounts/address.ts'
import { newPassword } from '../../stores/accounts/new-password.ts'
import { removeCredential, setCredential, setDisabled } from '../../stores/credentials/credentials.ts'
import { Control } from '../../stores/control/control.ts'
import { routingTables } from '../../stores/control/routing-tables.ts'
import type { Home } from '../../stores/home/layout.ts'
import { AccountBook, UserLookup } from '../../stores/users/lookup-user.ts'
import { mailboxOwner } from '../../stores/users/mailbox-owner.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'
import { noAccount } from './account.ts'
import { readPassword } from './ask-person.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { print, printJson } from './output.ts'
import { changing, isOwn } from './site-change.ts'

export interface PasswordOptions extends GlobalOptions {
  readonly passwordStdin?: true
  readonly app?: string
  readonly removeApp?: string
}

export async function password(text: string, options: PasswordOptions): Promise<void> {
  const home = requireHome(options)
  const { app, removeApp, passwordStdin } = options
  if (removeApp !== undefined && (app !== undefined || passwordStdin === true))
    throw new CommandError('--remove-app goes alone', exitCode.usage)
  if (app === '' || removeApp === '') throw new CommandError('an app password needs a name', exitCode.usage)
  await changing(home, async () => {
    const address = await requireAccount(home, text)
    if (removeApp !== undefined) return await removeAppPassword(home, address, removeApp, options)
    const made = passwordStdin === true ? undefined : newPassword(realRandom)
    await setCredential(home, address, app ?? '', made ?? (await readPassword()))
    if (options.json === true)
      printJson({ address, app: app ?? null, ...(made === undefined ? {} : { password: made }) })
    else {
      print(app === undefined ? `${address} has a new password` : `${address} has an app password '${app}'`)
      if (made !== undefined) print(`password: ${made}   (shown only now)`)
    }
  })
}

/** Logins end; mail still arrives. */
export async function able(text: string, disabled: boolean, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const address = await requireAccount(home, text)
    await setDisabled(home, address, disabled)
    if (options.json === true) printJson({ address, disabled })
    else if (disabled)
      print(
        `${address} is disabled: nobody can log in, to read or to send. Mail for it is still delivered.\nIts passwords are kept: quaver account enable ${address}`,
      )
    else print(`${address} is enabled: its passwords work again`)
  })
}

async function removeAppPassword(home: Home, address: string, app: string, options: GlobalOptions): Promise<void> {
  if (!(await removeCredential(home, address, app)))
    throw new CommandError(`${address} has no app password '${app}' ('quaver account show ${address}' names them)`)
  if (options.json === true) printJson({ address, removed: app })
  else print(`the app password '${app}' of ${address} works no more`)
}

/** An account of ours; or, as it may be in a site older than Quaver, whoever has a mailbox by a line of users/assign or
 *  as a user of the machine. */
async function requireAccount(home: Home, text: string): Promise<string> {
  const name = text.toLowerCase()
  if ((await listAccounts(realFiles, home)).some(({ address }) => address === name)) return name
  const alias = (await listAliases(realFiles, home)).find(({ address }) => address === name)
  if (alias !== undefined)
    throw new CommandError(
      `${name} is an alias and has no password: it leads to ${alias.targets.map(toText).join(', ')}`,
    )
  if (await hasMailbox(home, name)) return name
  // Says what is wrong with it, if it is no address at all.
  if (name.includes('@')) parseAccountAddress(name)
  throw noAccount(name)
}

async function hasMailbox(home: Home, name: string): Promise<boolean> {
  if (!/^[!-9;-~]{1,512}$/.test(name)) return false
  const tables = routingTables(new Control(home.control, realClock))
  if (tables === undefined) return false
  const accounts = isOwn(home) ? undefined : new AccountBook(realClock)
  const users = new UserLookup(home, { accounts, alias: () => Promise.resolve(undefined) })
  const owner = await mailboxOwner(fromText(name), tables, users)
  return typeof owner !== 'string' && (owner.uid !== 0 || isOwn(home))
}
