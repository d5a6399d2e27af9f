/** Gives an account another address: mailbox, passwords, aliases and extensions move with it, and the old address stays as an
 *  alias of the new one.
 *  Knows:  the order: mailbox, assignment, passwords. Mail that arrives in between is deferred, not lost: the old assignment
 *          leads to a directory that is absent for a moment.
 *  Fails:  throws AccountError with the remedy before anything is changed, else as Node does. */
import { lstat, rename } from 'node:fs/promises'
import { errorCode, type Files } from '../../system/files.ts'
import { renameCredentials } from '../credentials/credentials.ts'
import type { Home } from '../home/layout.ts'
import { AccountError } from '../home/account-error.ts'
import { type AccountAddress, textOf } from './address.ts'
import { accountLines, aliasLine, keyIn, keyOf } from './assign-lines.ts'
import { mailHome, makeDomainDirectory } from './mailbox.ts'
import { addDomainLines, changeSite, checkDomain, type Site, writeAssign } from './site-files.ts'

export async function renameAccount(files: Files, home: Home, from: AccountAddress, to: AccountAddress): Promise<void> {
  await changeSite(files, home, async (site) => {
    const account = site.accounts.find((one) => textOf(one) === textOf(from))
    if (account === undefined) throw new AccountError(`${textOf(from)} is no account ('quaver account list' shows all)`)
    await checkDomain(files, home, site, to.domain)
    const directory = mailHome(home, to)
    checkFree(site, from, to)
    if (await isThere(directory))
      throw new AccountError(`${directory} is there from before: move it away, or choose another name`)
    await makeDomainDirectory(home, to.domain)
    await rename(account.directory, directory)
    const own = new Set(accountLines(keyOf(from), account, account.directory, account.ownUid))
    const others = site.lines
      .filter((line) => !own.has(line) && !isAliasOf(line, to))
      .map((line) => withDirectory(line, account.directory, directory))
    await writeAssign(files, home, [
      ...others,
      ...accountLines(keyOf(to), account, directory, account.ownUid),
      aliasLine(from, account, directory),
    ])
    await renameCredentials(home, textOf(from), textOf(to))
    await addDomainLines(files, home, to.domain)
  })
}

/** The new name may be an alias of the account; the alias is replaced. */
function checkFree({ accounts, aliases, lines }: Site, from: AccountAddress, to: AccountAddress): void {
  const text = textOf(to)
  if (accounts.some((one) => textOf(one) === text)) throw new AccountError(`${text} is an account already`)
  const alias = aliases.find(({ address }) => textOf(address) === text)
  const isOwn = alias?.account !== undefined && textOf(alias.account) === textOf(from)
  if (isOwn) return
  if (alias !== undefined) throw new AccountError(`${text} is an alias of others: 'quaver alias remove ${text}' first`)
  if (lines.some((line) => line.startsWith('=') && keyIn(line) === keyOf(to)))
    throw new AccountError(`users/assign has a line for ${text} that is not ours: '=${keyOf(to)}:'`)
}

function isAliasOf(line: string, address: AccountAddress): boolean {
  return line.startsWith('=') && keyIn(line) === keyOf(address)
}

/** Aliases and extensions that led to the mailbox lead to where it is now. */
function withDirectory(line: string, from: string, to: string): string {
  const fields = line.split(':')
  return fields[4] === from ? fields.with(4, to).join(':') : line
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
