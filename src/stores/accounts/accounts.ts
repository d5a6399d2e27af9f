/** Accounts of hosted domains, kept in qmail's own files: control/virtualdomains `D:D`, control/rcpthosts `D`, and for
 *  each account lines `=D-local:…` and `+D-local-:…` in users/assign; its mail is in HOME/mail/D/local/Maildir.
 *  Knows:  the order that leaves nothing half-made: mailbox, assignment, password, and only then the domain.
 *  Never:  touches lines that it did not write; hashes passwords.
 *  Fails:  throws AccountError with the place and the remedy. */
import { chmod, chown, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { parseList, parseMap } from '../../protocols/qmail/control-format.ts'
import { errorCode, type Files, replaceFile } from '../../system/files.ts'
import { listCredentials, putSecrets } from '../credentials/credentials.ts'
import type { Secrets } from '../credentials/derive.ts'
import type { Home } from '../home/layout.ts'
import { assignBytesMax, compileAssign } from '../users/assign.ts'
import { type AccountAddress, AccountError } from './address.ts'
import { type AssignOwner, accountLines, aliasLine, readAccountLine, withoutKey } from './assign-lines.ts'
import { lockDirectory } from './directory-lock.ts'

const controlBytesMax: number = 8 * 1024 * 1024

export interface Account {
  readonly address: string
  readonly user: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly maildir: string
  readonly hasPassword: boolean
}

export interface NewAccount {
  readonly address: AccountAddress
  readonly owner: AssignOwner
  /** Of its main password. */
  readonly secrets: Secrets
  /** Names in the same domain whose mail it gets, too, where they are no accounts of their own. */
  readonly alsoFor?: readonly string[]
}

export async function addAccount(files: Files, home: Home, account: NewAccount): Promise<void> {
  const { local, domain } = account.address
  const unlock = await lockDirectory(home.users)
  try {
    const assign = await readText(files, join(home.users, 'assign'), assignBytesMax)
    const { isNew, key } = await checkNew(files, home, account.address, assign)
    await makeMailbox(home, account.address, account.owner)
    const directory = mailHome(home, account.address)
    const lines = accountLines(key, account.owner, directory)
    // Every domain has a postmaster (RFC 5321 4.5.1): the first account, until there is one of that name.
    const others = [...(isNew ? ['postmaster'] : []), ...(account.alsoFor ?? [])].filter((name) => name !== local)
    for (const name of others) lines.push(aliasLine(`${domain}-${name}`, account.owner, directory))
    await writeAssign(files, home, [...withoutKey(assign, key), ...lines])
    await putSecrets(home, `${local}@${domain}`, account.secrets)
    await addLine(files, join(home.control, 'virtualdomains'), `${domain}:${domain}`, (text) =>
      parseMap(text).has(domain),
    )
    await addLine(files, join(home.control, 'rcpthosts'), domain, (text) => parseList(text).includes(domain))
  } finally {
    await unlock()
  }
}

/** In the order of users/assign. */
export async function listAccounts(files: Files, home: Home): Promise<Account[]> {
  const assign = await readText(files, join(home.users, 'assign'), assignBytesMax)
  // Another account's process may list, without knowing who has a password.
  const withPassword = await listCredentials(home).catch(() => new Map<string, unknown>())
  const accounts: Account[] = []
  for (const line of assign.split('\n')) {
    const found = readAccountLine(line, home.mail)
    if (found === undefined) continue
    const { local, domain, user, uid, gid, directory } = found
    const address = `${local}@${domain}`
    const maildir = join(directory, 'Maildir')
    accounts.push({ address, user, uid, gid, home: directory, maildir, hasPassword: withPassword.has(address) })
  }
  return accounts
}

export function mailHome(home: Home, { local, domain }: AccountAddress): string {
  return join(home.mail, domain, local)
}

async function checkNew(
  files: Files,
  home: Home,
  { local, domain }: AccountAddress,
  assign: string,
): Promise<{ isNew: boolean; key: string }> {
  const key = `${domain}-${local}`
  const existing = assign.split('\n').map((line) => readAccountLine(line, home.mail))
  if (existing.some((one) => one?.local === local && one.domain === domain))
    throw new AccountError(`${local}@${domain} is an account already ('quaver account list' shows all)`)
  const locals = parseList(await readText(files, join(home.control, 'locals'), controlBytesMax))
  if (locals.some((line) => line.toLowerCase() === domain))
    throw new AccountError(
      `${domain} is in control/locals, so its addresses are the machine's own users; take that line out to host accounts`,
    )
  const prepend = parseMap(await readText(files, join(home.control, 'virtualdomains'), controlBytesMax)).get(domain)
  if (prepend !== undefined && prepend !== domain)
    throw new AccountError(`control/virtualdomains sends ${domain} to '${prepend}'; accounts need ${domain}:${domain}`)
  return { isNew: !existing.some((one) => one?.domain === domain), key }
}

async function makeMailbox(home: Home, address: AccountAddress, owner: AssignOwner): Promise<void> {
  const domainDirectory = join(home.mail, address.domain)
  await makeDirectory(domainDirectory, 0o755, undefined)
  const directory = mailHome(home, address)
  const maildir = join(directory, 'Maildir')
  for (const path of [directory, maildir, ...['tmp', 'new', 'cur'].map((name) => join(maildir, name))])
    await makeDirectory(path, 0o700, owner)
  for (const path of [maildir, directory, domainDirectory, home.mail]) {
    const handle = await open(path)
    await handle.sync()
    await handle.close()
  }
}

async function makeDirectory(path: string, mode: number, owner: AssignOwner | undefined): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return
    throw error
  }
  if (owner !== undefined && process.getuid?.() === 0) await chown(path, owner.uid, owner.gid)
  await chmod(path, mode)
}

async function writeAssign(files: Files, home: Home, lines: readonly string[]): Promise<void> {
  const text = [...lines, '.', ''].join('\n')
  await replaceFile(files, join(home.users, 'assign'), toBuffer(text), 0o644)
  const compiled = await compileAssign(home, files)
  if (!compiled.done) throw new AccountError(`users/cdb is as it was: ${compiled.failure.logText}`)
}

async function addLine(files: Files, path: string, line: string, has: (text: string) => boolean): Promise<void> {
  const text = await readText(files, path, controlBytesMax)
  if (has(text)) return
  const ended = text === '' || text.endsWith('\n') ? text : `${text}\n`
  await replaceFile(files, path, toBuffer(`${ended}${line}\n`), 0o644)
}

async function readText(files: Files, path: string, bytesMax: number): Promise<string> {
  const bytes = await files.read(path, bytesMax)
  return bytes === undefined ? '' : fromBuffer(bytes)
}
