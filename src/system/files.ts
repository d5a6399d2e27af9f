/** Files, with the durable steps that our promises rest on. Handed in, so that a simulation can lose what was not synced.
 *  Fails:  throws as Node does; the store that calls turns it into an Outcome. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsync,
  open,
  openSync,
  readFileSync,
  statSync,
  writev,
} from 'node:fs'
import { chmod, link, mkdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { OwnerIds } from './as-owner.ts'

export interface OpenFile {
  /** One after the other. */
  write(pieces: readonly Uint8Array[]): Promise<void>
  /** After it returns, content written so far survives a power cut. */
  sync(): Promise<void>
  close(): Promise<void>
  /** Absent where the system does not know it by a number. */
  readonly fd?: number
}

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other'
  /** Permission bits, set-id and sticky bits. */
  readonly mode: number
  readonly uid: number
  readonly bytes: number
  readonly modifiedMs: number
}

export interface Files {
  /** Creates with O_EXCL: fails with EEXIST rather than touch a file that is there. */
  create(path: string, mode: number, owner?: OwnerIds): Promise<OpenFile>
  /** Undefined if there is no such file; throws if it is longer than `bytesMax`. */
  read(path: string, bytesMax: number): Promise<Buffer | undefined>
  facts(path: string): Promise<FileFacts | undefined>
  rename(from: string, to: string): Promise<void>
  link(from: string, to: string): Promise<void>
  /** No error if the file is gone already. */
  remove(path: string): Promise<void>
  makeDirectory(path: string, mode: number): Promise<void>
  /** After it returns, entries created, renamed or removed in the directory survive a power cut. */
  syncDirectory(path: string): Promise<void>
}

/** A small file that is read where a session begins, synchronously. Undefined if there is no such file; throws if it is
 *  longer than `bytesMax`. */
export function readSmallFile(path: string, bytesMax: number): Buffer | undefined {
  try {
    const { size } = statSync(path)
    if (size > bytesMax) throw new Error(`${path}: ${size} bytes, limit ${bytesMax}`)
    return readFileSync(path)
  } catch (error) {
    return absentAsUndefined(error)
  }
}

/** Calls that only touch the system's caches are made at once: a trip through the pool costs ten times as much. Calls that
 *  wait for the disk are made in the pool. */
export const realFiles: Files = {
  async create(path, mode, owner) {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    // In the pool: a new name waits for the journal.
    const fd = await opened(path, flags, mode)
    try {
      await naming(path, settled(fd, mode, owner))
    } catch (error) {
      closeSync(fd)
      throw error
    }
    return openFile(fd, path)
  },
  async read(path, bytesMax) {
    const facts = await realFiles.facts(path)
    if (facts === undefined) return undefined
    if (facts.bytes > bytesMax) throw new Error(`${path}: ${facts.bytes} bytes, limit ${bytesMax}`)
    return await readFile(path).catch(absentAsUndefined)
  },
  async facts(path) {
    const found = await stat(path).catch(absentAsUndefined)
    if (found === undefined) return undefined
    const kind = found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other'
    return { kind, mode: found.mode & 0o7777, uid: found.uid, bytes: found.size, modifiedMs: found.mtimeMs }
  },
  rename: (from, to) => rename(from, to),
  link: (from, to) => link(from, to),
  async remove(path) {
    await unlink(path).catch(absentAsUndefined)
  },
  async makeDirectory(path, mode) {
    const made = await mkdir(path, { mode, recursive: true })
    // Others are meant to read it: the umask must not take that away.
    if (made !== undefined && (mode & 0o077) !== 0) await chmod(path, mode)
  },
  async syncDirectory(path) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await synced(fd)
    } finally {
      closeSync(fd)
    }
  },
}

function opened(path: string, flags: number, mode: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, mode, (error, fd) => (error === null ? resolve(fd) : reject(error)))
  })
}

function settled(fd: number, mode: number, owner: OwnerIds | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid)
    // Others are meant to read it: the umask must not take that away.
    if ((mode & 0o077) !== 0) fchmodSync(fd, mode)
    resolve()
  })
}

function openFile(fd: number, path: string): OpenFile {
  const write = async (pieces: readonly Uint8Array[]): Promise<void> => {
    let rest = pieces.filter(({ byteLength }) => byteLength > 0)
    while (rest.length > 0) rest = behind(rest, await writeSome(fd, rest))
  }
  return {
    write: (pieces) => naming(path, write(pieces)),
    sync: () => naming(path, synced(fd)),
    close: () => closed(fd),
    fd,
  }
}

/** In the pool: the disk may make it wait. Resolves with how much was written. */
export function writeSome(fd: number, pieces: readonly Uint8Array[]): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, pieces, null, (error, count) => (error === null ? resolve(count) : reject(error)))
  })
}

/** In the pool. */
export function synced(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fsync(fd, (error) => (error === null ? resolve() : reject(error))))
}

function closed(fd: number): Promise<void> {
  return new Promise((resolve) => resolve(closeSync(fd)))
}

/** The pieces without their first `count` bytes. */
export function behind(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = count
  for (const piece of pieces) {
    if (skip < piece.byteLength) rest.push(piece.subarray(skip))
    skip = Math.max(0, skip - piece.byteLength)
  }
  return rest
}

/** A system error on a descriptor names no file: adds the path, so that the reader finds the full disk. */
export async function naming(path: string, work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (error instanceof Error && errorCode(error) !== '' && !('path' in error)) error.message += ` '${path}'`
    throw error
  }
}

/** The error code of a failed system call, or empty. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function absentAsUndefined(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT') return undefined
  throw error
}

/** Puts a whole file in place: a reader sees the old content or the new, before and after a crash. Without `owner` it is
 *  the caller's. */
export async function replaceFile(
  files: Files,
  path: string,
  content: Uint8Array,
  mode: number,
  owner?: OwnerIds,
): Promise<void> {
  const directory = dirname(path)
  const temporary = join(directory, `.${basename(path)}.${process.pid}.new`)
  await files.remove(temporary)
  try {
    const file = await files.create(temporary, mode, owner)
    try {
      await file.write([content])
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(temporary, path)
  } catch (error) {
    // Above all on a full disk: half a file is of no use.
    await files.remove(temporary).catch(() => undefined)
    throw error
  }
  await files.syncDirectory(directory)
}
