/** `maildirsize` in a Maildir: read, added to, counted anew. The limit is stored nowhere else, so a file written by hand works.
 *  Knows:  which file counts for a folder; how a count replaces the file. Never: decides what happens to a message.
 *  Fails:  `readQuota` returns undefined if there is no readable limit; `recordChange` and `recordRemoval` never throw: the sum
 *          is wrong until the next count, and no mail is lost. The others throw as Node does. */
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
  /** The Maildir that has the file: this one, or the one that it is a folder of. Ends in a slash. */
  readonly root: ByteString
  readonly changedMs: number
  /** It should be counted anew: the file has grown long, or has another owner, so that we could not add to it. */
  readonly isDue: boolean
}

/** Bounds how often a count is repeated because the Maildir changed meanwhile. */
const countTriesMax = 3
const entriesAtOnce = 1024
/** Follows no link and waits for no pipe that a user may put in its place. */
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
    // The limit was removed, or the disk is full: the next count corrects the sum.
  }
}

/** To be called after messages were removed from a Maildir (POP3's DELE and QUIT), with the sum of their sizes. */
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
      // A file removed meanwhile counts nothing.
      const size = bytesInName(name) ?? files.facts(`${directory}/${name}`)?.size
      if (size === undefined) continue
      bytes += size
      messages++
    }
  }
  return { bytes, messages }
}

/** Counts, and replaces the file, with this limit. Readers see the old file or the new one. */
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
      // The limit is stored nowhere else: a power cut must not leave an empty file.
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

/** The mail of a folder (its name begins with a dot) counts in the Maildir that contains it. */
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

/** Yields nothing if it is no directory, or is gone. */
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
