/** HOME/made.json: what Quaver made on this machine besides the package, so that uninstalling removes that and nothing else.
 *  Each thing is recorded before it is made, so that a power cut leaves nothing unrecorded.
 *  Knows:  whether a file is ours: it was made here, and still has the content that it was given.
 *  Never:  touches a file that existed before, or that was edited since.
 *  Fails:  as Node does; MadeError if the record cannot be understood. */
import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import {
  chmod,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rmdir,
  symlink,
  unlink,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import {
  type Alternative,
  chooseAlternative,
  divert,
  dropAlternative,
  endDiversion,
} from '../../system/alternatives.ts'
import { errorCode, realFiles, replaceFile } from '../../system/files.ts'

export class MadeError extends Error {
  override name = 'MadeError'
}

export interface FileOwner {
  /** Of the machine. */
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** `sha256`: empty while the file is being written. */
export type Made =
  | {
      readonly kind: 'file'
      readonly path: string
      readonly sha256: string
      readonly mode: number
      /** Account of the machine; undefined: root. */
      readonly owner?: string
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'directory'; readonly path: string }
  /** Of the machine. */
  | { readonly kind: 'account'; readonly path: string }
  /** What was at `was`; `path` is where it is kept meanwhile. */
  | { readonly kind: 'replaced'; readonly path: string; readonly was: string; readonly by: SettingAside }
  /** A choice in a group of alternatives; `path` is our program. */
  | { readonly kind: 'alternative'; readonly path: string; readonly group: string }
  /** The self-test of the services after set-up: begun, or also passed. */
  | { readonly kind: 'test'; readonly path: 'self-test'; readonly passed: boolean }
  /** The password of this account, made by set-up and perhaps not yet shown to a person. */
  | { readonly kind: 'unseen-password'; readonly path: string }

/** `dpkg-divert`: later versions of its package are set aside, too. */
export type SettingAside = 'rename' | 'dpkg-divert'

/** `kept`: it is not ours, or was edited, and stays as it is. */
export type Making = 'made' | 'changed' | 'there' | 'kept'

const recordBytesMax: number = 1024 * 1024
const fileBytesMax: number = 1024 * 1024
const recordName = 'made.json'
/** Used until owner and mode are set. */
const newDirectoryMode = 0o700

export class MadeThings {
  private readonly path: string
  private things: readonly Made[]

  private constructor(path: string, things: readonly Made[]) {
    this.path = path
    this.things = things
  }

  static async read(home: string): Promise<MadeThings> {
    const path = join(home, recordName)
    const bytes = await realFiles.read(path, recordBytesMax)
    return new MadeThings(path, bytes === undefined ? [] : parse(path, bytes.toString('utf8')))
  }

  all(): readonly Made[] {
    return this.things
  }

  /** In the order in which they can be removed: directories last, and the inner ones before the outer. */
  toRemove(): readonly Made[] {
    const depth = ({ kind, path }: Made): number => (kind === 'directory' ? -path.split('/').length : -Infinity)
    return this.things
      .toReversed()
      .toSorted((one, other) => (depth(one) < depth(other) ? -1 : Number(depth(one) > depth(other))))
  }

  find(path: string): Made | undefined {
    return this.things.find((one) => one.path === path)
  }

  /** Also makes missing parent directories, with mode 755. */
  async directory(path: string, mode = 0o755, owner?: FileOwner): Promise<Making> {
    const facts = await lstat(path).catch(whenAbsent)
    if (facts !== undefined && !(await this.isHalfMade(path, facts))) return 'there'
    if (facts === undefined) {
      if (dirname(path) !== path) await this.directory(dirname(path))
      // The record is in the home itself, which must exist first.
      if (path !== dirname(this.path)) await this.note({ kind: 'directory', path })
      await mkdir(path, { mode: newDirectoryMode })
    }
    if (path === dirname(this.path)) await this.note({ kind: 'directory', path })
    if (owner !== undefined) await lchown(path, owner.uid, owner.gid)
    await chmod(path, mode)
    return 'made'
  }

  /** Made, but without its final mode: ours by the record, or a home that is too new to have a record. */
  private async isHalfMade(path: string, facts: Stats): Promise<boolean> {
    if (!facts.isDirectory() || (facts.mode & 0o7777) !== newDirectoryMode || facts.uid !== process.getuid?.())
      return false
    if (this.find(path)?.kind === 'directory') return true
    if (path !== dirname(this.path)) return false
    return (await readdir(path)).every((name) => name.startsWith(`.${recordName}.`))
  }

  async file(named: string, text: string, mode: number, owner?: FileOwner): Promise<Making> {
    await this.directory(dirname(named))
    const path = await settled(named)
    const sha256 = digest(text)
    const before = await contentDigest(path)
    const known = this.find(path)
    if (before === sha256) return 'there'
    if (before !== undefined && !(known?.kind === 'file' && known.sha256 === before)) return 'kept'
    await this.note({ kind: 'file', path, sha256, mode, ...ownedBy(owner) })
    await replaceFile(realFiles, path, Buffer.from(text), mode)
    if (owner !== undefined) await lchown(path, owner.uid, owner.gid)
    return before === undefined ? 'made' : 'changed'
  }

  /** True if `file` would do nothing: the file is as it should be, or is not ours. */
  async isSettled(path: string, text: string): Promise<boolean> {
    const before = await contentDigest(path)
    if (before === undefined) return false
    const known = this.find(path)
    return before === digest(text) || !(known?.kind === 'file' && known.sha256 === before)
  }

  /** Announces a file that another part of Quaver writes: until `written`, any content counts as ours. False: it is not
   *  ours. */
  async expect(named: string, mode: number, owner?: FileOwner): Promise<boolean> {
    const path = await settled(named)
    const known = this.find(path)
    if (known === undefined && (await contentDigest(path)) !== undefined) return false
    await this.note({ kind: 'file', path, sha256: '', mode, ...ownedBy(owner) })
    return true
  }

  async written(named: string, mode: number, owner?: FileOwner): Promise<void> {
    const path = await settled(named)
    await this.note({ kind: 'file', path, sha256: (await contentDigest(path)) ?? '', mode, ...ownedBy(owner) })
  }

  async link(path: string, target: string): Promise<Making> {
    const facts = await lstat(path).catch(whenAbsent)
    if (facts !== undefined) return facts.isSymbolicLink() && (await readlink(path)) === target ? 'there' : 'kept'
    await this.directory(dirname(path))
    await this.note({ kind: 'link', path, target })
    await symlink(target, path)
    return 'made'
  }

  /** Moves `was` to `aside`, until it is removed from the record. Throws MadeError if `aside` exists. */
  async setAside(was: string, aside: string, by: SettingAside): Promise<void> {
    if ((await lstat(aside).catch(whenAbsent)) !== undefined)
      throw new MadeError(`${aside} is there already: what is at ${was} cannot be set aside; move it away first`)
    await this.note({ kind: 'replaced', path: aside, was, by })
    if (by === 'rename') await rename(was, aside)
    else await divert(was, aside)
  }

  /** Chooses it in its group, with the names that go with it. */
  async alternative(first: Alternative, others: readonly Alternative[]): Promise<void> {
    await this.note({ kind: 'alternative', path: first.target, group: first.name })
    await chooseAlternative(first, others)
  }

  async note(made: Made): Promise<void> {
    await this.write([...this.things.filter(({ path }) => path !== made.path), made])
  }

  async forget(path: string): Promise<void> {
    if (this.find(path) !== undefined) await this.write(this.things.filter((one) => one.path !== path))
  }

  /** Undefined: it is gone. Else why it stays; accounts are never removed here. */
  async remove(made: Made): Promise<string | undefined> {
    if (made.kind === 'account') return 'is an account'
    try {
      if (made.kind === 'test' || made.kind === 'unseen-password') await this.forget(made.path)
      else if (made.kind === 'directory') await rmdir(made.path)
      else if (made.kind === 'alternative') await dropAlternative(made.group, made.path)
      else if (made.kind === 'replaced') return await this.giveBack(made)
      else if (await this.isAsMade(made)) await unlink(made.path)
      else return made.kind === 'link' ? 'leads elsewhere now' : 'was edited'
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return 'is not empty'
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
    }
    await this.forget(made.path)
    return undefined
  }

  private async giveBack(made: Extract<Made, { kind: 'replaced' }>): Promise<string | undefined> {
    const { path: aside, was, by } = made
    const isThere = (await lstat(aside).catch(whenAbsent)) !== undefined
    const isFree = (await lstat(was).catch(whenAbsent)) === undefined
    if (isThere && !isFree) return `was at ${was}, where something else is now`
    // The diversion may still exist though its file was removed with its package.
    if (by === 'dpkg-divert') await endDiversion(was, aside)
    else if (isThere) await rename(aside, was)
    await this.forget(aside)
    return undefined
  }

  /** The record itself goes last. */
  async end(): Promise<void> {
    await realFiles.remove(this.path)
  }

  private async isAsMade(made: Extract<Made, { kind: 'file' | 'link' }>): Promise<boolean> {
    if (made.kind === 'link') return (await readlink(made.path)) === made.target
    const found = await contentDigest(made.path)
    return found === undefined || made.sha256 === '' || found === made.sha256
  }

  private async write(things: readonly Made[]): Promise<void> {
    this.things = things
    // Before the home exists, only its parents are made; the record is written later.
    if ((await realFiles.facts(dirname(this.path))) === undefined) return
    await replaceFile(realFiles, this.path, Buffer.from(`${JSON.stringify(things, null, 1)}\n`), 0o600)
  }
}

function ownedBy(owner: FileOwner | undefined): { readonly owner?: string } {
  return owner === undefined ? {} : { owner: owner.name }
}

/** With the real path of its directory: links on the way may be removed, or made, before the file is removed. */
async function settled(path: string): Promise<string> {
  return join(await realpath(dirname(path)), basename(path))
}

function digest(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Undefined if there is no such file. A link is not followed: its text is digested. */
async function contentDigest(path: string): Promise<string | undefined> {
  const facts = await lstat(path).catch(whenAbsent)
  if (facts === undefined) return undefined
  if (facts.isSymbolicLink()) return digest(`link to ${await readlink(path)}`)
  if (!facts.isFile() || facts.size > fileBytesMax) return 'something else'
  return digest(await readFile(path))
}

function whenAbsent(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
  throw error
}

function parse(path: string, text: string): Made[] {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    list = undefined
  }
  if (!Array.isArray(list) || !list.every(isMade))
    throw new MadeError(
      `${path} cannot be understood: restore it from a backup, or move it away (then nothing is ours)`,
    )
  return list
}

function isMade(value: unknown): value is Made {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('path' in value)) return false
  if (typeof value.path !== 'string') return false
  if (value.kind === 'file')
    return 'sha256' in value && typeof value.sha256 === 'string' && 'mode' in value && typeof value.mode === 'number'
  if (value.kind === 'link') return 'target' in value && typeof value.target === 'string'
  if (value.kind === 'replaced')
    return 'was' in value && typeof value.was === 'string' && 'by' in value && typeof value.by === 'string'
  if (value.kind === 'alternative') return 'group' in value && typeof value.group === 'string'
  return ['directory', 'account', 'test', 'unseen-password'].includes(String(value.kind))
}
