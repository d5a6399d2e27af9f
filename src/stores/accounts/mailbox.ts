/** A mailbox's directories: HOME/mail/D belongs to root, HOME/mail/D/local and all in it to the owner of the mail.
 *  Never:  does anything as root in a directory of another owner.
 *  Fails:  throws AccountError with the place and the remedy, else as Node does. */
import { lstat, readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { asOwner } from '../../system/as-owner.ts'
import { errorCode } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'
import { makeDirectory, makeMaildir, syncDirectories } from '../maildir/make-maildir.ts'
import { AccountError } from '../home/account-error.ts'
import { type AccountAddress } from './address.ts'
import type { AssignOwner } from './assign-lines.ts'

export function mailHome(home: Home, { local, domain }: AccountAddress): string {
  return join(home.mail, domain, local)
}

/** An existing mailbox stays as it is if it belongs to the owner and its mail is meant for the new account. */
export async function makeMailbox(
  home: Home,
  address: AccountAddress,
  owner: AssignOwner,
  oldMail: 'given' | 'refused',
): Promise<void> {
  const domainDirectory = await makeDomainDirectory(home, address.domain)
  const directory = mailHome(home, address)
  await makeDirectory(directory, 0o700, owner)
  const facts = await lstat(directory)
  if (facts.uid !== owner.uid)
    throw new AccountError(
      `${directory} is there from before and belongs to uid ${facts.uid}, not to ${owner.user}: move it away, or chown -R ${owner.user} ${directory}`,
    )
  if (oldMail === 'refused' && !(await asOwner(owner, () => isFresh(directory))))
    throw new AccountError(
      `${directory} has mail or instructions of whoever had this address before: --with-old-mail gives all of it to the new account; else move it away (mv ${directory} ${directory}.old)`,
    )
  await syncDirectories([directory, domainDirectory, home.mail])
  await asOwner(owner, () => makeMaildir(join(directory, 'Maildir')))
}

export async function makeDomainDirectory(home: Home, domain: string): Promise<string> {
  const directory = join(home.mail, domain)
  await makeDirectory(directory, 0o755, undefined)
  return directory
}

/** Returns what could not be deleted, or undefined. Cannot be undone. */
export async function deleteMail(home: Home, address: AccountAddress, owner: AssignOwner): Promise<string | undefined> {
  const directory = mailHome(home, address)
  try {
    await asOwner(owner, async () => {
      for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true })
    })
    await rmdir(directory)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') return `${directory}: ${describeError(error)}`
  }
  // With the last mailbox the domain's directory goes.
  await rmdir(join(home.mail, address.domain)).catch(() => undefined)
  return undefined
}

/** Nothing in it but what a new mailbox has. */
async function isFresh(directory: string): Promise<boolean> {
  const within = async (path: string, expected: readonly string[]): Promise<boolean> =>
    (await readdir(path).catch(absentAsEmpty)).every((name) => expected.includes(name))
  const maildir = join(directory, 'Maildir')
  return (
    (await within(directory, ['Maildir'])) &&
    (await within(maildir, ['tmp', 'new', 'cur', 'maildirsize'])) &&
    (await within(join(maildir, 'new'), [])) &&
    (await within(join(maildir, 'cur'), []))
  )
}

function absentAsEmpty(error: unknown): string[] {
  if (errorCode(error) === 'ENOENT') return []
  throw error
}
