/** `maildirsize` in a Maildir: read, added to, counted anew. The limit is kept nowhere else, so a file that somebody
 *  wrote by hand works.
 *  Knows:  which file counts for a folder; how a count replaces the file. Never: decides what happens to a message.
 *  Fails:  `readQuota` says undefined where there is no limit that can be read; `recordChange` and `recordRemoval` never
 *          throw: the sum is wrong then until the next count, and no mail is lost for it. The others throw as Node does. */
import { constants } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { bytesInName } from '../../protocols/maildir/name.ts'
import {
  formatChange,
  formatMaildirsize,
  isCountedFolder,
  type Maildirsize,
  maildirsizeBytesMax,
  parseMaildirsize,
  type QuotaLimit,
  type Usage,
} from '../../protocols/maildir/quota.ts'
import { errorCode } from '../../system/files.ts'
import { pathOf, type QuickFiles } from '../../system/quick-files.ts'
import type { Random } from '../../system/random.ts'

export interface FoundQuota extends Maildirsize {
  /** The Maildir whose file it is: this one, or the one that it is a folder of. Ends in a slash. */
  readonly root: ByteString
  readonly changedMs: number
  /** It is to be counted anew: it has grown long, or belongs to somebody else, so that we could not add to it. */
  readonly isDue: boolean
}

/** Changes that keep coming while we count must not keep us counting. */
const countTriesMax = 3
const entriesAtOnce = 1024
/** Nobody may put something else in its place, or have us wait for a pipe. */
const readFlags: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const appendFlags: number = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** `maildir` ends in a slash. */
export function readQuota(files: QuickFiles, maildir: ByteString): FoundQuota | undefined {
  for (const root of rootsOf(maildir)) {
    const found = readFile(files, root)
    if (found !== undefined) return found
  }
  return undefined
}

/** One write at the end of the file: others may add to it at the same time. */
export function recordChange(files: QuickFiles, root: ByteString, change: Usage): void {
  try {
    const fd = files.open(`${root}maildirsize`, appendFlags)
    try {
      files.write(fd, [toBuffer(formatChange(change))])
    } finally {
      files.close(fd)
    }
  } catch {
    // The limit was taken away, or the disk is full: a count will find out.
  }
}

/** Messages are gone from a Maildir (POP3's DELE and QUIT): call it after that, with the sum of their sizes. */
export function recordRemoval(files: QuickFiles, maildir: ByteString, removed: Usage): void {
  const found = removed.messages === 0 ? undefined : readQuota(files, maildir)
  if (found?.isCounted !== true) return
  recordChange(files, found.root, { bytes: -removed.bytes, messages: -removed.messages })
}

/** What is in a Maildir and its folders: by the sizes in names, else by looking. */
export async function countMaildir(files: QuickFiles, root: ByteString): Promise<Usage> {
  let bytes = 0
  let messages = 0
  for (const directory of await countedDirectories(root)) {
    for await (const name of namesIn(directory)) {
      if (name.startsWith('.')) continue
      // One that is gone meanwhile counts nothing.
      const size = bytesInName(name) ?? files.facts(`${directory}/${name}`)?.size
      if (size === undefined) continue
      bytes += size
      messages++
    }
  }
  return { bytes, messages }
}

/** Counts and puts a new file in place, under this limit. Whoever reads sees the old file or the new one. */
export async function writeQuota(
  files: QuickFiles,
  random: Random,
  root: ByteString,
  limit: QuotaLimit,
): Promise<Usage> {
  for (let tries = 1; ; tries++) {
    const before = await stampsOf(files, root)
    const used = await countMaildir(files, root)
    const temporary = `${root}tmp/maildirsize.${random.bytes(8).toString('hex')}`
    const fd = files.create(temporary, 0o600)
    try {
      files.write(fd, [toBuffer(formatMaildirsize(limit, used))])
      // The limit is in no other place: a power cut must not leave an empty file.
      await files.sync(fd)
    } catch (error) {
      files.remove(temporary)
      throw error
    } finally {
      files.close(fd)
    }
    const isSame = (await stampsOf(files, root)) === before
    if (isSame || tries === countTriesMax) {
      files.rename(temporary, `${root}maildirsize`)
      return used
    }
    files.remove(temporary)
  }
}

/** No limit from now on. */
export function removeQuota(files: QuickFiles, root: ByteString): void {
  try {
    files.remove(`${root}maildirsize`)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** A folder's mail counts in the Maildir that it lies in: their names begin with a dot. */
function rootsOf(maildir: ByteString): ByteString[] {
  const slash = maildir.lastIndexOf('/', maildir.length - 2)
  return maildir.charAt(slash + 1) === '.' && slash >= 0 ? [maildir, maildir.slice(0, slash + 1)] : [maildir]
}

function readFile(files: QuickFiles, root: ByteString): FoundQuota | undefined {
  const path = `${root}maildirsize`
  try {
    // An exception costs more than this call, and most Maildirs have no limit.
    if (files.facts(path) === undefined) return undefined
    const fd = files.open(path, readFlags)
    try {
      const facts = files.factsOf(fd)
      if (!facts.isFile()) return undefined
      const buffer = Buffer.allocUnsafe(maildirsizeBytesMax)
      const text = fromBuffer(buffer.subarray(0, files.read(fd, buffer, 0)))
      const parsed = parseMaildirsize(text)
      if (parsed === undefined) return undefined
      const isDue = facts.size >= maildirsizeBytesMax || facts.uid !== process.geteuid?.()
      return { ...parsed, root, changedMs: facts.mtimeMs, isDue }
    } finally {
      files.close(fd)
    }
  } catch {
    return undefined
  }
}

async function countedDirectories(root: ByteString): Promise<ByteString[]> {
  const directories = [`${root}new`, `${root}cur`]
  for await (const name of namesIn(root.slice(0, -1)))
    if (isCountedFolder(name)) directories.push(`${root}${name}/new`, `${root}${name}/cur`)
  return directories
}

/** Empty for what is no directory, or is gone. */
async function* namesIn(directory: ByteString): AsyncGenerator<ByteString> {
  try {
    const entries = await opendir(pathOf(directory), { encoding: 'latin1', bufferSize: entriesAtOnce })
    for await (const { name } of entries) yield name
  } catch (error) {
    const code = errorCode(error)
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
  }
}

/** Changes when a message comes, goes or moves. */
async function stampsOf(files: QuickFiles, root: ByteString): Promise<string> {
  const directories = await countedDirectories(root)
  return directories.map((directory) => files.facts(directory)?.mtimeMs ?? 0).join(' ')
}
