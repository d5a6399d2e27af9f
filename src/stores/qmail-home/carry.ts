/** Carries out a plan in a home. Each file is written whole or not at all, and no existing file is overwritten: a second run
 *  goes on where the first one stopped.
 *  Fails:  throws as Node does. */
import { constants, lstatSync, type PathLike } from 'node:fs'
import { chmod, chown, link, lutimes, mkdir, open, symlink, unlink } from 'node:fs/promises'
import { type ByteString, fromText, toText } from '../../base/byte-string.ts'
import { asOwner, type OwnerIds } from '../../system/as-owner.ts'
import { errorCode, naming, realFiles } from '../../system/files.ts'
import { pathOf } from '../../system/quick-files.ts'
import { type ControlFile, controlFiles, type ControlName } from '../control/table.ts'
import type { Home } from '../home/layout.ts'
import { readFound } from './found-files.ts'
import type { HomeMove, HomePlan } from './plan.ts'

export interface CarryOwners {
  /** Of alias/ and all in it. */
  readonly alias: OwnerIds
  /** Of control/domainkeys/: no other account may read the keys. */
  readonly signer: OwnerIds
  /** Of a file of control/ that holds secrets: the account of its reader. */
  secretsOf(reader: string): OwnerIds | undefined
  /** True: the uid is an account of ours, and keeps its files of control/; else they become the caller's. */
  isOurs(uid: number): boolean
}

/** Paths that exist already with other content. */
export function conflictsOf({ moves }: HomePlan, home: Home): ByteString[] {
  return moves
    .map((move) => targetOf(move, home))
    .filter(({ path, move }) => isOther(path, move))
    .map(({ path }) => path)
}

/** `owners` undefined: all belongs to the caller. */
export async function carryHome({ moves }: HomePlan, home: Home, owners: CarryOwners | undefined): Promise<void> {
  for (const move of moves) {
    const { path } = targetOf(move, home)
    if (isThere(path)) continue
    if (owners === undefined || !move.to.startsWith('alias/')) {
      await make(path, move, contentOf(move), owners)
      continue
    }
    // alias/ belongs to the account alias: nothing there is followed or made as root, nor read as root if alias can.
    const reader = move.found.uid === owners.alias.uid ? owners.alias : { uid: 0, gid: 0 }
    const content = await asOwner(reader, () => Promise.resolve(contentOf(move)))
    await asOwner(owners.alias, () => make(path, move, content, undefined))
  }
}

function targetOf(move: HomeMove, home: Home): { path: ByteString; move: HomeMove } {
  return { path: `${fromText(home.path)}/${move.to}`, move }
}

/** Of a link its target; of a directory nothing. */
function contentOf({ found, instead }: HomeMove): Buffer {
  if (instead !== undefined) return Buffer.from(instead, 'latin1')
  return found.kind === 'directory' ? Buffer.alloc(0) : readFound(found)
}

async function make(
  path: ByteString,
  { found, to }: HomeMove,
  content: Buffer,
  owners: CarryOwners | undefined,
): Promise<void> {
  const at = pathOf(path)
  const isKey = /^control\/domainkeys(?:\/|$)/.test(to)
  const reader = secretReader(to)
  const kept = owners?.isOurs(found.uid) === true ? found : undefined
  const owner = isKey ? owners?.signer : reader === undefined ? kept : owners?.secretsOf(reader)
  if (found.kind === 'link') return await symlink(content, at)
  if (found.kind === 'directory') {
    await mkdir(at, { mode: 0o700 })
    if (owner !== undefined) await chown(at, owner.uid, owner.gid)
    return await chmod(at, isKey ? 0o700 : found.mode & 0o2755)
  }
  // Only the owner may write in control/ and users/; in alias/ the account alias decides.
  const mode = isKey || reader !== undefined ? 0o600 : found.mode & (owners === undefined ? 0o777 : 0o755)
  await makeFile(path, content, mode, owner)
  if (found.modifiedMs !== undefined) await lutimes(at, found.modifiedMs / 1000, found.modifiedMs / 1000)
}

/** The program that reads a control file that others must not read. */
function secretReader(to: ByteString): string | undefined {
  const name = /^control\/(.*)$/.exec(to)?.[1] ?? ''
  const row: ControlFile | undefined = Object.hasOwn(controlFiles, name) ? controlFiles[name as ControlName] : undefined
  return row?.secret === true ? row.readBy[0] : undefined
}

/** Links it from a temporary name, which fails if the name is taken meanwhile. */
async function makeFile(
  path: ByteString,
  content: Uint8Array,
  mode: number,
  owner: OwnerIds | undefined,
): Promise<void> {
  const slash = path.lastIndexOf('/')
  const directory = path.slice(0, slash)
  const temporary = pathOf(`${directory}/.adopting.${process.pid}`)
  await remove(temporary)
  try {
    await naming(toText(path), writeNew(temporary, content, mode, owner))
    await link(temporary, pathOf(path))
  } finally {
    await remove(temporary)
  }
  await syncDirectory(directory)
}

async function writeNew(path: PathLike, content: Uint8Array, mode: number, owner: OwnerIds | undefined): Promise<void> {
  const handle = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  )
  try {
    await handle.writeFile(content)
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid)
    await handle.chmod(mode)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function syncDirectory(directory: ByteString): Promise<void> {
  const path = pathOf(directory)
  if (typeof path === 'string') return await realFiles.syncDirectory(path)
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  await handle.sync()
  await handle.close()
}

async function remove(path: PathLike): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error
  })
}

function isThere(path: ByteString): boolean {
  return lstatSync(pathOf(path), { throwIfNoEntry: false }) !== undefined
}

function isOther(path: ByteString, move: HomeMove): boolean {
  const { found } = move
  const facts = lstatSync(pathOf(path), { throwIfNoEntry: false })
  if (facts === undefined) return false
  if (found.kind === 'directory') return !facts.isDirectory()
  const kind = facts.isFile() ? 'file' : facts.isSymbolicLink() ? 'link' : undefined
  if (kind !== found.kind) return true
  return !readFound({ path, kind }).equals(contentOf(move))
}
