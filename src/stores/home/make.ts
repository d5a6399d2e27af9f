/** Makes a home's directories by the table in layout.ts, and checks those that exist.
 *  Knows:  owner and mode. Never: repairs a directory that an administrator made differently: it names path and remedy instead.
 *  Fails:  throws HomeError with every fault found. */
import { chmod, chown, mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { errorCode } from '../../system/files.ts'
import { homePathFault } from './find.ts'
import { directories, isOnRequest, type Role } from './layout.ts'

export class HomeError extends Error {
  override name = 'HomeError'
}

export interface Owner {
  readonly account: string
  readonly uid: number
  readonly gid: number
}

/** Undefined in the demo: everything belongs to the caller. */
export type OwnerOf = ((role: Role) => Owner) | undefined

/** Directories that others must not read or write, whoever made them. */
const guarded = new Set(['queue', 'queue/content', 'tls', 'auth', 'greylist', 'reports/received', 'reports/dmarc'])

export async function makeHome(path: string, ownerOf: OwnerOf): Promise<void> {
  const pathFault = homePathFault(path)
  if (pathFault !== undefined) throw new HomeError(pathFault)
  const faults: string[] = []
  for (const { name, owner, mode } of directories) {
    const directory = join(path, name)
    const account = ownerOf?.(owner)
    try {
      if (await make(directory, mode, account, name === '')) continue
      if (account !== undefined && isOnRequest(owner)) await handOver(directory, account)
      const fault = await checkDirectory(directory, guarded.has(name), mode, account)
      if (fault !== undefined) faults.push(fault)
    } catch (error) {
      throw new HomeError(`cannot make ${directory}: ${describeError(error)}`)
    }
  }
  if (faults.length > 0) throw new HomeError(faults.join('\n'))
}

/** True if it was made now. Mode and owner are set by calls of their own: mkdir's mode is cut by the umask. */
async function make(directory: string, mode: number, owner: Owner | undefined, parents: boolean): Promise<boolean> {
  if (parents) await mkdir(join(directory, '..'), { recursive: true })
  try {
    await mkdir(directory, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
  if (owner !== undefined) await chown(directory, owner.uid, owner.gid)
  await chmod(directory, mode)
  return true
}

/** A directory made before its role had an account is root's and empty: gives it to that account. */
async function handOver(directory: string, owner: Owner): Promise<void> {
  if (owner.uid === 0 || (await stat(directory)).uid !== 0 || (await readdir(directory)).length > 0) return
  await chown(directory, owner.uid, owner.gid)
}

async function checkDirectory(
  directory: string,
  isGuarded: boolean,
  mode: number,
  owner: Owner | undefined,
): Promise<string | undefined> {
  const facts = await stat(directory)
  if (!facts.isDirectory()) return `${directory} is not a directory: move it away`
  const sticky = (mode & 0o1000) !== 0
  const tooMuch = facts.mode & 0o777 & ~mode & (isGuarded ? 0o077 : sticky ? 0 : 0o002)
  if (tooMuch !== 0) {
    const has = (facts.mode & 0o7777).toString(8)
    return `${directory} has mode ${has}, which is too open: chmod ${mode.toString(8)} ${directory}`
  }
  if (isGuarded && owner !== undefined && facts.uid !== owner.uid)
    return `${directory} belongs to uid ${facts.uid}, not to ${owner.account}: chown ${owner.account} ${directory}`
  return undefined
}
