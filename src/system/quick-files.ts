/** File calls that touch the page cache only, made synchronously: a trip through the thread pool costs ten times as much
 *  as the call (40 µs against 4). Syncs wait for the disk and are never made this way: many run at once in the pool.
 *  For processes that serve one user; a slow file system then holds up no other user.
 *  Fails:  throws as Node does. */
import {
  accessSync,
  close,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  opendirSync,
  openSync,
  read,
  readSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writevSync,
} from 'node:fs'
import { type ByteString, fromText, toBuffer, toText } from '../base/byte-string.ts'
import { behind, synced } from './files.ts'

const beyondAscii = /[\u0080-\uffff]/

/** A path that is not valid UTF-8 can only be given to Node as a Buffer. */
export type Path = string | Buffer

export function pathOf(bytes: ByteString): Path {
  // Nearly all paths are ASCII, and the detour over two buffers costs as much as a call of the system.
  if (!beyondAscii.test(bytes)) return bytes
  const text = toText(bytes)
  return fromText(text) === bytes ? text : toBuffer(bytes)
}

export interface QuickFiles {
  /** O_EXCL and O_NOFOLLOW: fails with EEXIST rather than touch anything that is there. */
  create(path: ByteString, mode: number): number
  open(path: ByteString, flags: number, mode?: number): number
  /** Writes all of it, at the end of what was written through this descriptor. */
  write(fd: number, parts: readonly Uint8Array[]): void
  /** At most `buffer.length` bytes from a position; 0 at the end. */
  read(fd: number, buffer: Buffer, position: number): number
  /** The same for what is probably not in the page cache: the disk is waited for in the pool. */
  readFromDisk(fd: number, buffer: Buffer, position: number): Promise<number>
  truncate(fd: number, bytes: number): void
  factsOf(fd: number): Stats
  /** Undefined if there is no such file; an exception costs more than the call. */
  facts(path: ByteString): Stats | undefined
  /** Of a link itself, not of what it points to. Undefined if there is no such entry. */
  factsOfEntry(path: ByteString): Stats | undefined
  /** Names of the regular files in a directory, in portions, so that the caller can let others work in between. The
   *  directory is closed at the end, also of a loop that is left. */
  listFiles(path: ByteString): Iterable<readonly ByteString[]>
  /** Throws unless the caller could make this its working directory. */
  enter(path: ByteString): void
  close(fd: number): void
  link(from: ByteString, to: ByteString): void
  rename(from: ByteString, to: ByteString): void
  remove(path: ByteString): void
  /** After it resolves, content written so far survives a power cut. After a rejection this is unknown: never try again. */
  sync(fd: number): Promise<void>
  /** After it resolves, entries created, renamed or removed in the directory survive a power cut. */
  syncDirectory(path: ByteString): Promise<void>
}

export const quickFiles: QuickFiles = {
  create(path, mode) {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    return openSync(pathOf(path), flags, mode)
  },
  open: (path, flags, mode) => openSync(pathOf(path), flags, mode),
  write(fd, parts) {
    let rest: readonly Uint8Array[] = parts.filter((part) => part.byteLength > 0)
    while (rest.length > 0) rest = behind(rest, writevSync(fd, rest))
  },
  read: (fd, buffer, position) => readSync(fd, buffer, 0, buffer.length, position),
  readFromDisk: (fd, buffer, position) =>
    new Promise((resolve, reject) => {
      read(fd, buffer, 0, buffer.length, position, (error, count) => (error === null ? resolve(count) : reject(error)))
    }),
  truncate: ftruncateSync,
  factsOf: (fd) => fstatSync(fd),
  facts: (path) => statSync(pathOf(path), { throwIfNoEntry: false }),
  factsOfEntry: (path) => lstatSync(pathOf(path), { throwIfNoEntry: false }),
  listFiles,
  enter(path) {
    // With the dot at the end, what is not a directory fails with ENOTDIR.
    accessSync(pathOf(`${path}/.`), constants.X_OK)
  },
  close: closeSync,
  link: (from, to) => linkSync(pathOf(from), pathOf(to)),
  rename: (from, to) => renameSync(pathOf(from), pathOf(to)),
  remove: (path) => unlinkSync(pathOf(path)),
  sync: synced,
  async syncDirectory(path) {
    const fd = openSync(pathOf(path), constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await synced(fd)
    } finally {
      close(fd)
    }
  },
}

const namesAtOnce = 512

function* listFiles(path: ByteString): Generator<readonly ByteString[]> {
  const directory = opendirSync(pathOf(path), { encoding: 'latin1', bufferSize: namesAtOnce })
  try {
    let names: ByteString[] = []
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      if (entry.isFile()) names.push(entry.name)
      if (names.length < namesAtOnce) continue
      yield names
      names = []
    }
    yield names
  } finally {
    directory.closeSync()
  }
}
