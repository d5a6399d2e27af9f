/** `quaver account add` and `list`. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { addAccount, listAccounts } from '../../stores/accounts/accounts.ts'
import { AccountError, type AccountAddress, parseAccountAddress } from '../../stores/accounts/address.ts'
import type { AssignOwner } from '../../stores/accounts/assign-lines.ts'
import { newPassword } from '../../stores/accounts/new-password.ts'
import { deriveSecrets } from '../../stores/credentials/derive.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { ask } from '../../clients/admin/ask.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode, realFiles } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { print, printJson, table } from './output.ts'

const passwordBytesMax = 1024

export async function add(
  text: string,
  options: GlobalOptions & { passwordStdin?: true; user?: string },
): Promise<void> {
  const home = requireHome(options)
  // Files of users/ and control/ are read by other accounts, whatever the caller's umask.
  process.umask(0o022)
  try {
    const address = parseAccountAddress(text)
    const owner = await ownerFor(home, address, options.user)
    const password = options.passwordStdin === true ? await readPassword() : newPassword(realRandom)
    await addAccount(realFiles, home, { address, owner, secrets: await deriveSecrets(password) })
    const reloaded = await reload(home)
    report(
      `${address.local}@${address.domain}`,
      options.passwordStdin === true ? undefined : password,
      reloaded,
      options,
    )
  } catch (error) {
    if (error instanceof AccountError) throw new CommandError(error.message)
    if (errorCode(error) === 'EACCES' || errorCode(error) === 'EPERM')
      throw new CommandError(`${error instanceof Error ? error.message : ''}: run it as the owner of ${home.path}`)
    throw error
  }
}

export async function list(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const accounts = await listAccounts(realFiles, home)
  if (options.json === true) return printJson(accounts)
  if (accounts.length === 0) print("no accounts: 'quaver account add name@domain' makes one")
  else print(table(accounts.map(({ address, user, maildir }) => [address, user, maildir])))
}

function report(address: string, password: string | undefined, reloaded: boolean, options: GlobalOptions): void {
  if (options.json === true) return printJson({ address, ...(password === undefined ? {} : { password }), reloaded })
  print(`account ${address} is there`)
  if (password !== undefined) print(`password: ${password}   (shown only now)`)
  if (!reloaded) print('Quaver does not run on this home; it will know the account when it starts')
}

/** `--user`, else the owner of the domain's other accounts, else in a demo or as an ordinary user: the caller. */
async function ownerFor(home: Home, { domain }: AccountAddress, name: string | undefined): Promise<AssignOwner> {
  const me = userInfo()
  const isOwn = me.uid !== 0 || existsSync(join(home.path, 'demo-password'))
  if (name !== undefined && name !== me.username) {
    if (isOwn) throw new CommandError(`--user ${name}: only root, in a system home, can give mail to another account`)
    const found = await findAccount(name)
    if (found === undefined)
      throw new CommandError(
        `there is no account '${name}' on this machine: useradd --system --no-create-home --shell /usr/sbin/nologin ${name}`,
      )
    if (found.uid === 0) throw new CommandError('root never receives mail: name another account with --user')
    return { user: name, uid: found.uid, gid: found.gid }
  }
  if (isOwn) return { user: me.username, uid: me.uid, gid: me.gid }
  const sibling = (await listAccounts(realFiles, home)).find(({ address }) => address.endsWith(`@${domain}`))
  if (sibling !== undefined) return { user: sibling.user, uid: sibling.uid, gid: sibling.gid }
  throw new CommandError(
    `${domain} is new here: --user names the account of this machine that is to own its mail (useradd --system --no-create-home --shell /usr/sbin/nologin NAME)`,
    exitCode.usage,
  )
}

/** The first line, without its end. */
async function readPassword(): Promise<string> {
  if (process.stdin.isTTY)
    throw new CommandError('--password-stdin reads a pipe or a file, not the terminal, where it would be seen')
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.includes('\n') || text.length > passwordBytesMax) break
  }
  const password = text.split(/\r?\n/, 1)[0] ?? ''
  if (password === '') throw new CommandError('--password-stdin: the first line is empty')
  if (password.length > passwordBytesMax)
    throw new CommandError(`--password-stdin: longer than ${passwordBytesMax} characters`)
  return password
}

/** A new domain is in control/virtualdomains, which the queue reads again only when told. */
async function reload(home: Home): Promise<boolean> {
  try {
    await ask(socketPath(home, 'start'), { op: 'reload' }, () => undefined, realClock)
    return true
  } catch {
    return false
  }
}
