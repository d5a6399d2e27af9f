/** Shared by commands that change users/, control/ and auth/: the owner of mail, errors with a remedy, telling `start`. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { ask } from '../../clients/admin/ask.ts'
import { listAccounts } from '../../stores/accounts/accounts.ts'
import { AccountError } from '../../stores/home/account-error.ts'
import type { AssignOwner } from '../../stores/accounts/assign-lines.ts'
import { Control } from '../../stores/control/control.ts'
import { accountName } from '../../stores/home/account-name.ts'
import { accountOf, type Home, type Role, socketPath } from '../../stores/home/layout.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode, realFiles } from '../../system/files.ts'
import { CommandError, exitCode } from './exit.ts'

const useradd = 'useradd --system --no-create-home --shell /usr/sbin/nologin'

/** Errors of the stores become errors of the command. */
export async function changing<T>(home: Home, work: () => Promise<T>): Promise<T> {
  if (!existsSync(home.users))
    throw new CommandError(`${home.users} is not there yet: 'quaver start --home ${home.path}' makes it, once`)
  // Files of users/ and control/ are read by other accounts, whatever the caller's umask.
  process.umask(0o022)
  try {
    return await work()
  } catch (error) {
    if (error instanceof AccountError) throw new CommandError(error.message)
    if (errorCode(error) === 'EACCES' || errorCode(error) === 'EPERM')
      throw new CommandError(`${error instanceof Error ? error.message : ''}: run it as the owner of ${home.path}`)
    throw error
  }
}

/** Has control/virtualdomains read again, which happens only on request. False: Quaver does not run. */
export async function reload(home: Home): Promise<boolean> {
  try {
    await ask(socketPath(home, 'start'), { op: 'reload' }, () => undefined, realClock)
    return true
  } catch {
    return false
  }
}

/** `--user`, else the owner of the domain's other accounts, else in a demo or as an ordinary user: the caller. */
export async function ownerFor(home: Home, domain: string, name: string | undefined): Promise<AssignOwner> {
  const me = userInfo()
  if (name === 'root' && !isOwn(home))
    throw new CommandError('root never receives mail: name another account with --user', exitCode.usage)
  if (name !== undefined && name !== me.username) {
    if (isOwn(home))
      throw new CommandError(`--user ${name}: only root, in a system home, can give mail to another account`)
    const found = await findAccount(name)
    if (found === undefined) throw new CommandError(`there is no account '${name}' on this machine: ${useradd} ${name}`)
    const role = roleOf(home, name)
    if (role !== undefined)
      throw new CommandError(`'${name}' is the account of the role '${role}': mail needs one that does nothing else`)
    if (found.uid === 0) throw new CommandError('root never receives mail: name another account with --user')
    return { user: name, uid: found.uid, gid: found.gid }
  }
  if (isOwn(home)) return { user: me.username, uid: me.uid, gid: me.gid }
  const sibling = await sharedOwner(home, domain)
  if (sibling !== undefined) return sibling
  throw new CommandError(
    `${domain} has no account yet whose owner this one could share: --user names the account of this machine that is to own its mail (${useradd} NAME)`,
    exitCode.usage,
  )
}

/** The account whose process forwards an alias's mail: the owner of the domain's accounts, else that of the role alias. */
export async function forwarderFor(home: Home, domain: string): Promise<AssignOwner> {
  const me = userInfo()
  if (isOwn(home)) return { user: me.username, uid: me.uid, gid: me.gid }
  const sibling = await sharedOwner(home, domain)
  if (sibling !== undefined) return sibling
  const name = accountName(new Control(home.control, realClock).map('roles'), 'alias')
  const found = await findAccount(name)
  if (found === undefined || found.uid === 0)
    throw new CommandError(`there is no account '${name}' that could forward mail: ${useradd} ${name}`)
  return { user: name, uid: found.uid, gid: found.gid }
}

/** A demo's home, or one of an ordinary user: the caller owns all of it. */
export function isOwn(home: Home): boolean {
  return userInfo().uid !== 0 || existsSync(join(home.path, 'demo-password'))
}

/** Which program runs as this account; undefined if none. */
function roleOf(home: Home, name: string): Role | undefined {
  const overrides = new Control(home.control, realClock).map('roles')
  const roles = Object.keys(accountOf) as Role[]
  return roles.find((role) => role !== 'root' && accountName(overrides, role) === name)
}

async function sharedOwner(home: Home, domain: string): Promise<AssignOwner | undefined> {
  const accounts = await listAccounts(realFiles, home)
  const found = accounts.find(({ address, ownUid }) => !ownUid && address.endsWith(`@${domain}`))
  return found === undefined ? undefined : { user: found.user, uid: found.uid, gid: found.gid }
}
