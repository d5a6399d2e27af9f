/** Files, with the durable steps that our promises rest on. Handed in, so that a simulation can lose what was not synced.
 *  Fails:  throws as Node does; the store that calls turns it into an Outcome. */
import { constants, readFileSync, statSync } from 'node:fs'
import { chmod, type FileHandle, link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { OwnerIds } from './as-owner.ts'

export interface OpenFile {
  write(bytes: Uint8Array): Promise<void>
  /** After it returns, content written so far survives a power cut. */
  sync(): Promise<void>
  close(): Promise<void>
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

export const realFiles: Files = {
  async create(path, mode, owner) {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const handle = await open(path, flags, mode)
    try {
      if (owner !== undefined) await naming(path, handle.chown(owner.uid, owner.gid))
      // Others are meant to read it: the umask must not take that away.
      if ((mode & 0o077) !== 0) await naming(path, handle.chmod(mode))
    } catch (error) {
      await handle.close()
      throw error
    }
    return openFile(handle, path)
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
    const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
}

function openFile(handle: FileHandle, path: string): OpenFile {
  const write = async (bytes: Uint8Array): Promise<void> => {
    let rest = bytes
    while (rest.byteLength > 0) {
      const { bytesWritten } = await handle.write(rest)
      rest = rest.subarray(bytesWritten)
    }
  }
  return {
    write: (bytes) => naming(path, write(bytes)),
    sync: () => naming(path, handle.sync()),
    close: () => handle.close(),
  }
}

/** What the system says of a descriptor names no file; whoever reads it has to find the full disk. */
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
      await file.write(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(temporary, path)
  } catch (error) {
    // Above all on a full disk: half a file is of use to nobody.
    await files.remove(temporary).catch(() => undefined)
    throw error
  }
  await files.syncDirectory(directory)
}
