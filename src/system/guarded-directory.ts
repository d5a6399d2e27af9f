/** A look into another user's directory, by a process that may look everywhere: it follows no link but root's own, so that no
 *  user learns of a file that they could not see themselves.
 *  Knows:  that names in a directory which only root can write to stay what they are; elsewhere each step is taken from a
 *          descriptor, and a link is followed only to another name in the same directory.
 *  Never:  opens a file: the descriptors are of places (O_PATH), and open no device and wait for no pipe.
 *  Fails:  throws as Node does, and EACCES where `viewer` certainly could not go. */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, readlink } from 'node:fs/promises'
import { type ByteString, fromBuffer } from '../base/byte-string.ts'
import { errorCode } from './files.ts'
import { pathOf } from './quick-files.ts'

/** The user whose rights count. */
export interface Viewer {
  readonly uid: number
  readonly gid: number
}

/** A link leads away: only a process with its owner's rights may follow it. */
export type Elsewhere = 'elsewhere'

export interface GuardedDirectory {
  readonly facts: Stats
  /** Leads into it while `look` runs. Without a slash at its end. */
  readonly path: ByteString
  /** Undefined if there is no such entry. */
  find(name: ByteString): Promise<Stats | undefined | Elsewhere>
}

const linksMax = 40
/** Linux alone has it, and Node does not name it. */
const pathOnly = 0o10000000
const isLinux: boolean = process.platform === 'linux'
const execute = 0o1
const read = 0o4

/** `path` is absolute. */
export async function lookInto<T>(
  path: ByteString,
  viewer: Viewer,
  look: (directory: GuardedDirectory) => Promise<T>,
): Promise<T | Elsewhere> {
  const walk = new Walk(viewer)
  try {
    const facts = await walk.enter(path)
    if (facts === 'elsewhere') return facts
    return await look({ facts, path: walk.path, find: (name) => walk.find(name) })
  } finally {
    await walk.close()
  }
}

export function mayRead(facts: Stats, viewer: Viewer): boolean {
  return may(read, facts, viewer)
}

/** False only where it is certain. An access list may let in users that the group's bits do not. */
function may(bit: number, { mode, uid, gid }: Stats, viewer: Viewer): boolean {
  if (viewer.uid === 0) return true
  if (uid === viewer.uid) return (mode & (bit << 6)) !== 0
  return (mode & (bit << 3)) !== 0 || (gid !== viewer.gid && (mode & bit) !== 0)
}

class Walk {
  /** Without a slash at its end: the root is empty. */
  path: ByteString = ''
  private readonly viewer: Viewer
  private readonly handles: FileHandle[] = []
  /** Of the directory at `path`: only root can change what is in it. */
  private isRoots = true
  private links = 0

  constructor(viewer: Viewer) {
    this.viewer = viewer
  }

  async enter(path: ByteString): Promise<Stats | Elsewhere> {
    let here = await lstat('/')
    const rest = namesOf(path)
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      const facts = await this.facts(name)
      if (facts.isSymbolicLink()) {
        const target = await this.target(name)
        if (!this.isRoots && !isName(target)) return 'elsewhere'
        if (target.startsWith('/')) this.path = ''
        rest.unshift(...namesOf(target))
        continue
      }
      if (!facts.isDirectory()) throw failure('ENOTDIR', path)
      if (!may(execute, facts, this.viewer)) throw failure('EACCES', path)
      await this.step(name, facts)
      here = facts
    }
    return here
  }

  async find(name: ByteString): Promise<Stats | undefined | Elsewhere> {
    let wanted = name
    for (;;) {
      let facts: Stats
      try {
        facts = await lstat(pathOf(`${this.path}/${wanted}`))
      } catch (error) {
        const code = errorCode(error)
        if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined
        throw error
      }
      if (!facts.isSymbolicLink()) return facts
      const target = await this.target(wanted)
      if (!isName(target)) return 'elsewhere'
      wanted = target
    }
  }

  async close(): Promise<void> {
    for (const handle of this.handles) await handle.close()
  }

  private facts(name: ByteString): Promise<Stats> {
    return lstat(pathOf(`${this.path}/${name}`))
  }

  private async step(name: ByteString, facts: Stats): Promise<void> {
    const path = `${this.path}/${name}`
    // What is in root's own directory stays what was seen; elsewhere the owner may put a link in its place now.
    const isOwn = this.isRoots && facts.uid === 0 && (facts.mode & 0o022) === 0
    if (isOwn || !isLinux) {
      this.path = path
    } else {
      const handle = await open(pathOf(path), pathOnly | constants.O_NOFOLLOW | constants.O_DIRECTORY)
      this.handles.push(handle)
      this.path = `/proc/self/fd/${handle.fd}`
    }
    this.isRoots = isOwn
  }

  private async target(name: ByteString): Promise<ByteString> {
    if (++this.links > linksMax) throw failure('ELOOP', name)
    return fromBuffer(await readlink(pathOf(`${this.path}/${name}`), { encoding: 'buffer' }))
  }
}

function namesOf(path: ByteString): ByteString[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

/** Of an entry of the same directory. */
function isName(target: ByteString): boolean {
  return target !== '' && !target.includes('/') && target !== '..' && target !== '.'
}

function failure(code: string, path: ByteString): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
