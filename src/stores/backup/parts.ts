/** Which parts of a home are in a backup. They are read in the order in which a message moves: the drop directory, the queue,
 *  the mailboxes, and there `new` before `cur`. So a message that moves meanwhile is in the backup once or twice, never
 *  missing.
 *  Knows:  what is left out because it can be made again: sockets, logs, the greylist, keys of token issuers, counts of quotas
 *          and of reports.
 *  Never:  follows a link; reads below a user's directory with other rights than that user's.
 *  Fails:  a path that is gone or may not be read is reported to `left`, and the rest is read. */
import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir, readlink, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { findAccountByUid } from '../../system/accounts.ts'
import { asOwner, type OwnerIds } from '../../system/as-owner.ts'
import { errorCode } from '../../system/files.ts'
import { groupName } from '../../system/groups.ts'
import type { Home } from '../home/layout.ts'
import type { BackupEntry, EntryToWrite } from './archive.ts'

export interface BackupScope {
  readonly home: Home
  /** Has the queue's process make a copy (stores/queue/snapshot.ts); resolves to its directory. */
  readonly queueCopy: () => Promise<string>
  readonly mail: boolean
  /** What is not in the backup though it should be: a path, and why. */
  readonly left: (text: string) => void
}

/** Files in the home itself, beside its directories. */
const homeFiles = ['made.json', 'demo-password']
/** Databases that a program has open, and can start without. */
const lost = /^(?:auth\/.*\.sqlite|reports\/dmarc\/)/
/** Links to this machine's program: 'quaver start' makes them. */
const programLink = /^bin\/[^ ]* .*\/bin\/quaver$/
/** Written at this moment (`replaceFile`). */
const unfinished = /^\..*\.\d+\.new$/
const maildirParts = ['tmp', 'new', 'cur']
const pieceBytes: number = 64 * 1024
/** A bound, should a mail program keep renaming files. */
const looksMax = 3
const readFlags: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export async function* partsOf({ home, queueCopy, mail, left }: BackupScope): AsyncGenerator<EntryToWrite> {
  const walk = new Walk(mail, left)
  yield* walk.top('queue', home.queue)
  yield* walk.top('queue/drop', join(home.queue, 'drop'))
  yield* walk.below('queue/drop', join(home.queue, 'drop'))
  yield* walk.below('queue', await queueCopy())
  const [root, queue] = [await stat(home.path), await stat(home.queue)]
  for (const name of homeFiles) yield* walk.file(name, join(home.path, name), root)
  yield* walk.file('queue/adopted', join(home.queue, 'adopted'), queue)
  for (const directory of [
    ...[home.control, home.users, home.tls, home.auth, home.acme, home.mtaSts, home.reports],
    ...[home.bin, home.alias, home.mail],
  ]) {
    const name = basename(directory)
    yield* walk.top(name, directory)
    yield* walk.below(name, directory)
  }
}

class Walk {
  private readonly mail: boolean
  private readonly left: (text: string) => void
  /** Names by uid; the number where no account has it. */
  private readonly owners = new Map<number, string>()

  constructor(mail: boolean, left: (text: string) => void) {
    this.mail = mail
    this.left = left
  }

  /** A directory of the home, or where a link of the home leads to. */
  async *top(path: string, place: string): AsyncGenerator<EntryToWrite> {
    const facts = await stat(place).catch(whenAbsent)
    if (facts?.isDirectory() === true) yield { entry: await this.entry(path, facts, { kind: 'directory' }) }
  }

  async *below(path: string, place: string): AsyncGenerator<EntryToWrite> {
    const facts = await stat(place).catch(whenAbsent)
    if (facts !== undefined) yield* this.inside(path, place, readerBelow(rootIds, facts))
  }

  /** `reader`: with whose rights the directory is read. */
  private async *inside(path: string, place: string, reader: OwnerIds): AsyncGenerator<EntryToWrite> {
    const names = await this.names(place, reader)
    const isMaildir = maildirParts.every((name) => names.includes(name))
    // `new` before `cur`.
    for (const name of [...names].sort((one, other) => turnOf(one) - turnOf(other))) {
      const isMessages = isMaildir && maildirParts.includes(name)
      yield* this.one(join(path, name), join(place, name), reader, isMessages)
    }
  }

  private async *one(path: string, place: string, reader: OwnerIds, isMessages: boolean): AsyncGenerator<EntryToWrite> {
    const facts = unfinished.test(basename(path)) || lost.test(path) ? undefined : await this.look(place, reader)
    if (facts === undefined) return
    if (facts.isSymbolicLink()) {
      const target = await asOwner(reader, () => readlink(place)).catch(whenAbsent)
      if (target !== undefined && !programLink.test(`${path} ${target}`))
        yield { entry: await this.entry(path, facts, { kind: 'link', target }) }
    } else if (facts.isDirectory()) {
      yield { entry: await this.entry(path, facts, { kind: 'directory' }) }
      const below = readerBelow(reader, facts)
      if (!isMessages) yield* this.inside(path, place, below)
      else if (this.mail && !place.endsWith('/tmp')) yield* this.messages(path, place, below)
    } else if (facts.isFile()) yield* this.file(path, place, reader)
  }

  /** A message that is renamed while we read keeps the part of its name before the colon. */
  private async *messages(path: string, place: string, reader: OwnerIds): AsyncGenerator<EntryToWrite> {
    const read = new Set<string>()
    for (let looks = 0; looks < looksMax; looks++) {
      let isWhole = true
      for (const name of await this.names(place, reader)) {
        const [unique = ''] = name.split(':')
        if (read.has(unique)) continue
        if (yield* this.file(join(path, name), join(place, name), reader)) read.add(unique)
        else isWhole = false
      }
      if (isWhole) return
    }
  }

  /** False: it is gone. */
  async *file(path: string, place: string, reader: OwnerIds): AsyncGenerator<EntryToWrite, boolean> {
    try {
      const handle = await asOwner(reader, () => open(place, readFlags)).catch(whenAbsent)
      if (handle === undefined) return false
      try {
        const facts = await handle.stat()
        if (!facts.isFile()) return true
        if (path.endsWith('/maildirsize')) {
          // The limit alone: the count would be out of date after a restore.
          const [limit = ''] = (await handle.readFile('latin1')).split('\n')
          const bytes = Buffer.from(`${limit}\n`, 'latin1')
          yield {
            entry: await this.entry(path, facts, { kind: 'file', bytes: bytes.length }),
            content: pieces([bytes]),
          }
        } else {
          const entry = await this.entry(path, facts, { kind: 'file', bytes: facts.size })
          const short = (): void => this.left(`${place}: it became shorter while it was read; zeros stand for the rest`)
          yield { entry, content: readPieces(handle, facts.size, short) }
        }
      } finally {
        await handle.close()
      }
    } catch (error) {
      // A link in a Maildir is no message.
      if (errorCode(error) === 'ELOOP') return true
      if (!isRefused(error)) throw error
      this.left(describeError(error))
    }
    return true
  }

  private async entry(path: string, { mode, uid, gid, mtimeMs }: Stats, kind: Kind): Promise<BackupEntry> {
    let owner = this.owners.get(uid)
    if (owner === undefined) {
      owner = (await findAccountByUid(uid))?.name ?? String(uid)
      this.owners.set(uid, owner)
    }
    const facts = { mode: mode & 0o7777, owner, group: groupName(gid) ?? '' }
    return { path, ...facts, modifiedSeconds: Math.floor(mtimeMs / 1000), ...kind }
  }

  private async look(place: string, reader: OwnerIds): Promise<Stats | undefined> {
    try {
      return await asOwner(reader, () => lstat(place)).catch(whenAbsent)
    } catch (error) {
      if (!isRefused(error)) throw error
      this.left(describeError(error))
      return undefined
    }
  }

  /** Leaves out names that are no text. */
  private async names(place: string, reader: OwnerIds): Promise<string[]> {
    try {
      const names = (await asOwner(reader, () => readdir(place, { encoding: 'buffer' })).catch(whenAbsent)) ?? []
      return names.flatMap((bytes) => {
        const name = bytes.toString('utf8')
        if (Buffer.from(name).equals(bytes)) return [name]
        this.left(`${place}/${name}: its name is no UTF-8`)
        return []
      })
    } catch (error) {
      if (!isRefused(error)) throw error
      this.left(describeError(error))
      return []
    }
  }
}

const rootIds: OwnerIds = { uid: 0, gid: 0 }

/** The owner of a directory may replace what is in it, root's files too: below it, only the owner's rights are used. */
function readerBelow(reader: OwnerIds, directory: Stats): OwnerIds {
  return reader.uid === 0 ? directory : reader
}

function turnOf(name: string): number {
  return maildirParts.indexOf(name)
}

/** A file that keeps being truncated must not stop the backup: zeros stand for the missing bytes. */
async function* readPieces(
  handle: Awaited<ReturnType<typeof open>>,
  bytes: number,
  onShort: () => void,
): AsyncGenerator<Uint8Array> {
  let isShort = false
  for (let left = bytes; left > 0; ) {
    const piece = Buffer.alloc(Math.min(left, pieceBytes))
    const bytesRead: number = isShort ? 0 : (await handle.read(piece, 0, piece.length)).bytesRead
    if (bytesRead === 0 && !isShort) onShort()
    isShort ||= bytesRead === 0
    const read = isShort ? piece : piece.subarray(0, bytesRead)
    left -= read.length
    yield read
  }
}

async function* pieces(all: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* all
}

type Kind =
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly bytes: number }

function whenAbsent(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
  throw error
}

/** The owner made it unreadable; the backup of other users' mail goes on. */
function isRefused(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'ENXIO', 'ENAMETOOLONG'].includes(errorCode(error))
}
