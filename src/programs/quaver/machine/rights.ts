/** Kind, owner, mode and content of every file of an installation and of a home, as the tables say.
 *  Never:  changes anything by itself; a fault has a function that mends it.
 *  Fails:  a file that cannot be examined is a fault. */
import { chmodSync, lchownSync, lstatSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describeError } from '../../../base/outcome.ts'
import { Control } from '../../../stores/control/control.ts'
import { accountName } from '../../../stores/home/account-name.ts'
import { directories, type Home, isOnRequest, rolesOnRequest } from '../../../stores/home/layout.ts'
import { MadeThings } from '../../../stores/installation/made.ts'
import { fileDigest, type Installed, readManifest } from '../../../stores/installation/manifest.ts'
import { findAccount } from '../../../system/accounts.ts'
import { realClock } from '../../../system/clock.ts'
import { cloneRoot } from '../context.ts'

export interface RightsFault {
  readonly path: string
  readonly fault: string
  readonly remedy: string
  /** Mends it; undefined: a person has to. */
  readonly mend?: () => void
}

interface Wanted {
  readonly mode: number
  readonly uid: number
  readonly owner: string
}

/** Undefined in a clone. */
export function installedPrefix(): string | undefined {
  return cloneRoot() === undefined ? resolve(import.meta.dirname, '../../../../..') : undefined
}

/** Faults of the package's files; none in a clone. If root does not own the prefix, it is a user's trial, and that user must
 *  own the files. */
export async function treeFaults(): Promise<RightsFault[]> {
  const prefix = installedPrefix()
  const manifest = prefix === undefined ? undefined : await readManifest(prefix)
  if (prefix === undefined || manifest === undefined) return []
  const uid = statSync(join(prefix, 'lib/quaver')).uid
  const found: RightsFault[] = []
  for (const one of manifest) found.push(...(await installedFault(join(prefix, one.path), one, uid)))
  return found
}

const again = 'install the package again'

async function installedFault(path: string, one: Installed, uid: number): Promise<RightsFault[]> {
  const facts = lstatSync(path, { throwIfNoEntry: false })
  if (facts === undefined) return [{ path, fault: 'is not there', remedy: again }]
  if (one.kind === 'link') {
    if (facts.isSymbolicLink() && readlinkSync(path) === one.target) return []
    return [{ path, fault: `is no link to ${one.target}`, remedy: again }]
  }
  if (one.kind === 'directory') {
    if (!facts.isDirectory() && one.shared !== true) return [{ path, fault: 'is no directory', remedy: again }]
    return one.shared === true ? [] : rightsFaults(path, facts, { mode: one.mode, uid, owner: String(uid) })
  }
  if (!facts.isFile()) return [{ path, fault: 'is no file', remedy: again }]
  const found = rightsFaults(path, facts, { mode: one.mode, uid, owner: String(uid) })
  if (one.sha256 !== '' && (await fileDigest(path)) !== one.sha256)
    found.push({ path, fault: 'is not what the package brought', remedy: again })
  return found
}

/** Faults of a system home: its directories, and files that `setup` made in it. */
export async function homeFaults(home: Home): Promise<RightsFault[]> {
  const control = new Control(home.control, realClock)
  const accounts = control.map('roles')
  const found: RightsFault[] = []
  for (const { name, owner, mode } of directories) {
    // Root's until its program is first requested, then that program's for ever.
    if (isOnRequest(owner) && !control.isPresent(rolesOnRequest[owner])) continue
    const account = owner === 'root' ? 'root' : accountName(accounts, owner)
    found.push(...(await pathFaults(join(home.path, name), mode, account, false)))
  }
  const made = await MadeThings.read(home.path)
  for (const thing of made.all()) {
    if (thing.kind === 'file' && thing.sha256 !== '')
      found.push(...(await pathFaults(thing.path, thing.mode, thing.owner ?? 'root', true)))
    else if (thing.kind === 'link' && lstatSync(thing.path, { throwIfNoEntry: false }) === undefined)
      found.push({ path: thing.path, fault: 'is not there', remedy: `ln -s ${thing.target} ${thing.path}` })
    else if (thing.kind === 'account' && (await findAccount(thing.path)) === undefined)
      found.push({ path: thing.path, fault: 'is no account of this machine any more', remedy: 'quaver setup makes it' })
  }
  return found
}

async function pathFaults(path: string, mode: number, account: string, mayBeGone: boolean): Promise<RightsFault[]> {
  try {
    const facts = statSync(path, { throwIfNoEntry: false })
    // A file that an administrator removed stays removed.
    if (facts === undefined)
      return mayBeGone ? [] : [{ path, fault: 'is not there', remedy: "'quaver start' makes it" }]
    const owner = account === 'root' ? { uid: 0 } : await findAccount(account)
    if (owner === undefined)
      return [{ path, fault: `there is no account ${account} to own it`, remedy: 'quaver setup makes it' }]
    return rightsFaults(path, facts, { mode, uid: owner.uid, owner: account })
  } catch (error) {
    return [{ path, fault: describeError(error), remedy: 'ask as root' }]
  }
}

function rightsFaults(path: string, facts: Stats, wanted: Wanted): RightsFault[] {
  const found: RightsFault[] = []
  const mode = facts.mode & 0o7777
  if (facts.uid !== wanted.uid)
    found.push({
      path,
      fault: `belongs to uid ${facts.uid}, not to ${wanted.owner}`,
      remedy: `chown ${wanted.owner} ${path}`,
      mend: () => lchownSync(path, wanted.uid, facts.gid),
    })
  if (mode !== wanted.mode)
    found.push({
      path,
      fault: `has mode ${octal(mode)}, not ${octal(wanted.mode)}`,
      remedy: `chmod ${octal(wanted.mode)} ${path}`,
      mend: () => chmodSync(path, wanted.mode),
    })
  return found
}

function octal(mode: number): string {
  return mode.toString(8).padStart(3, '0')
}
