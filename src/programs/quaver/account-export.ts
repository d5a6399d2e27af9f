/** `quaver account export --dovecot`: accounts and their password hashes as a passwd-file of Dovecot, so that IMAP knows the
 *  same people.
 *  Never:  a password, or an account that is disabled.
 *  Fails:  with what reading HOME/auth/passwd says: it is closed to all but root and authd. */
import { listAccounts, type Account } from '../../stores/accounts/accounts.ts'
import type { AccountCredentials } from '../../stores/credentials/credential-lines.ts'
import { readCredentials } from '../../stores/credentials/credentials.ts'
import { realFiles } from '../../system/files.ts'
import { formatPasswordHash } from '../../system/password-hash.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { mailboxFinder } from './mailbox-account.ts'
import { print, printJson } from './output.ts'
import { changing } from './site-change.ts'

type PasswdHolder = Pick<Account, 'address' | 'uid' | 'gid' | 'home'>

/** Accounts of ours first; then who else has a password and a mailbox, by a line of users/assign or as a user of the machine. */
export async function exportAccounts(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const { accounts: credentials } = await readCredentials(home)
    const accounts = await listAccounts(realFiles, home)
    const holders: PasswdHolder[] = [...accounts]
    const find = mailboxFinder(home)
    const ours = new Set(accounts.map(({ address }) => address))
    for (const name of credentials.keys()) {
      if (ours.has(name)) continue
      const holder = await find(name)
      if (holder !== undefined) holders.push({ address: name, ...holder })
    }
    const lines = holders.flatMap((holder) => passwdLines(holder, credentials.get(holder.address)))
    if (options.json === true) printJson(lines)
    else if (lines.length > 0) print(lines.join('\n'))
  })
}

/** `user:password:uid:gid::home::`. A passwd-file has one password a name: further ones stand under `ADDRESS/1`,
 *  `ADDRESS/2` …, where further passdb blocks of Dovecot look. */
export function passwdLines(
  { address, uid, gid, home }: PasswdHolder,
  known: AccountCredentials | undefined,
): string[] {
  if (known === undefined || known.disabled) return []
  const isMain = ({ label }: { readonly label: string }): boolean => label === ''
  const main = known.credentials.filter(isMain)
  const further = known.credentials.filter((credential) => !isMain(credential))
  const line = (name: string, password: string): string => `${name}:${password}:${uid}:${gid}::${home}::`
  const named = [...main, ...further].map(({ hash }) => `{ARGON2ID}${formatPasswordHash(hash)}`)
  // Without a main password the name must be there all the same: it is where Dovecot finds the mailbox.
  const passwords = main.length === 0 && further.length > 0 ? ['{CRYPT}*', ...named] : named
  return passwords.map((password, at) => line(at === 0 ? address : `${address}/${at}`, password))
}
