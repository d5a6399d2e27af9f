/** The queue store as its process sees it: group commit, and one sync for all waiting callers. A commit writes SQLite's log,
 *  which costs microseconds; the sync of the log, which costs milliseconds, runs in the thread pool. `commit` resolves after
 *  it. Units that come meanwhile go together into the next one.
 *  Fails:  rejects with StoreError. After a failed sync it is unknown what is on disk: `damaged`, from then on. */
import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { toBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Files } from '../../system/files.ts'
import { noteMilliseconds } from './absence.ts'
import { ContentFiles, piecesOf } from './content-files.ts'
import {
  type BodyFile,
  type Change,
  type Channel,
  type CommitTime,
  type DueKey,
  type NewBody,
  type QueueCounts,
  type QueuedMessage,
  type QueueStore,
  type StoredClock,
  type StoredContent,
  StoreError,
} from './contract.ts'
import { QueueEngine } from './engine.ts'
import { MessageIds } from './ids.ts'
import { makeSnapshot, type QueueSnapshot } from './snapshot.ts'

/** Units in one commit: bounds the length of a transaction. */
const unitsPerCommitMax = 1000
/** How long a change that no caller waits for is kept, to share the sync of a later one. A crash in this time means one
 *  delivery more, never one less. */
const flushDelayMilliseconds = 10
/** Pages given back after commits that removed messages; bounded, so that it stays short. */
const shrinkPages = 64
const commitsPerShrink = 200

interface Unit {
  readonly changes: readonly Change[]
  readonly resolve: () => void
  readonly reject: (error: StoreError) => void
}

export class SyncedQueueStore implements QueueStore {
  private readonly directory: string
  private readonly engine: QueueEngine
  private readonly contents: ContentFiles
  private readonly ids: MessageIds
  /** The log, for its syncs alone. */
  private readonly logFd: number
  private gathered: Unit[] = []
  private syncing: Promise<void> | undefined
  /** The removal of removed messages' files. */
  private removing: Promise<unknown> = Promise.resolve()
  /** While it is made, no file is removed. */
  private snapshot: Promise<QueueSnapshot> | undefined
  private broken: StoreError | undefined
  private scheduled = false
  private urgent = false
  private patient: NodeJS.Timeout | undefined
  private commits = 0

  private constructor(directory: string, engine: QueueEngine, contents: ContentFiles, logFd: number) {
    this.directory = directory
    this.engine = engine
    this.contents = contents
    this.logFd = logFd
    const clock = engine.clock()
    this.ids = new MessageIds(engine.largestId(), clock && clock.seenMs + noteMilliseconds)
  }

  /** Opens or creates the database of the queue's directory. `open.ts` deals with damage and with what an earlier process
   *  left. */
  static open(directory: string, files: Files): SyncedQueueStore {
    const path = join(directory, 'queue.db')
    const engine = new QueueEngine(path)
    try {
      const logFd = openSync(`${path}-wal`, 'r')
      syncDirectory(directory)
      return new SyncedQueueStore(directory, engine, new ContentFiles(join(directory, 'content'), files), logFd)
    } catch (error) {
      engine.close()
      throw error
    }
  }

  commit(changes: readonly Change[], when: CommitTime = 'soon'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.gathered.push({ changes, resolve, reject })
      if (when === 'soon') this.urgent = true
      this.schedule()
    })
  }

  due(channel: Channel, atMs: number, limit: number, after?: DueKey): Promise<DueKey[]> {
    return this.read((engine) => engine.due(channel, atMs, limit, after))
  }

  nextDue(channel: Channel, afterMs: number): Promise<number | undefined> {
    return this.read((engine) => engine.nextDue(channel, afterMs))
  }

  load(ids: readonly number[]): Promise<QueuedMessage[]> {
    return this.read((engine) => engine.load(ids))
  }

  list(afterId: number, limit: number): Promise<QueuedMessage[]> {
    return this.read((engine) => engine.list(afterId, limit))
  }

  newId(nowMs: number): number {
    return this.ids.next(nowMs)
  }

  newBody(id: number): Promise<NewBody> {
    return this.contents.newBody(id)
  }

  async *content(id: number): AsyncGenerator<Buffer> {
    const { head, body } = await this.stored(id)
    yield* body === undefined ? this.contents.pieces(id, head) : piecesOf(Buffer.concat([toBuffer(head), body]))
  }

  async bodyFile(id: number): Promise<BodyFile | undefined> {
    const { head, body } = await this.stored(id)
    return body === undefined ? this.contents.bodyFile(id, head) : undefined
  }

  /** Removes bodies whose row was never committed (states Q2, Q3), or whose message is gone. Returns names that are not ours.
   *  Only before anything is handed in. */
  removeOrphans(): Promise<string[]> {
    return this.contents.removeOrphans((id) => this.engine.has(id))
  }

  counts(): Promise<QueueCounts> {
    return this.read((engine) => engine.counts())
  }

  clock(): Promise<StoredClock | undefined> {
    return this.read((engine) => engine.clock())
  }

  /** Resolves when the files of all that was removed are gone, or known to stay. */
  async filesRemoved(): Promise<void> {
    await this.removing
  }

  /** A copy for a backup, in a directory of its own (snapshot.ts). Rejects if one is being made. */
  async takeSnapshot(onPages: (left: number, of: number) => void): Promise<QueueSnapshot> {
    if (this.snapshot !== undefined) throw new StoreError('busy', 'a backup is being made already')
    this.snapshot = makeSnapshot(this.directory, (path) => this.engine.copyTo(path, onPages))
    try {
      return await this.snapshot
    } finally {
      this.snapshot = undefined
      this.removeFiles()
    }
  }

  async close(): Promise<void> {
    await this.snapshot?.catch(() => undefined)
    await this.syncing
    await this.removing
    this.engine.close()
    closeSync(this.logFd)
  }

  private async stored(id: number): Promise<StoredContent> {
    const stored = await this.read((engine) => engine.content(id))
    if (stored === undefined) throw new StoreError('other', `message ${id} is gone`)
    return stored
  }

  /** Shows nothing that a power cut could still take back. */
  private async read<T>(look: (engine: QueueEngine) => T): Promise<T> {
    await this.syncing
    return look(this.engine)
  }

  /** Urgent units are committed at the end of this turn, with what the rest of it brings; others wait for an urgent one, or for
   *  `flushDelayMilliseconds`. Either way, all gathered units are committed together. */
  private schedule(): void {
    if (this.syncing !== undefined || this.scheduled || this.gathered.length === 0) return
    if (this.urgent) {
      this.scheduled = true
      setImmediate(() => this.flush())
    } else this.patient ??= setTimeout(() => this.flush(), flushDelayMilliseconds)
  }

  private flush(): void {
    this.scheduled = false
    clearTimeout(this.patient)
    this.patient = undefined
    if (this.syncing !== undefined || this.gathered.length === 0) return
    this.urgent = this.gathered.length > unitsPerCommitMax
    const units = this.gathered.splice(0, unitsPerCommitMax)
    const written = this.write(units)
    if (written.length === 0) this.schedule()
    else this.syncing = this.sync(written)
  }

  /** Returns the units that are in the log now; the others are rejected. */
  private write(units: readonly Unit[]): Unit[] {
    if (this.broken !== undefined) {
      for (const unit of units) unit.reject(this.broken)
      return []
    }
    const failures = this.engine.commit(units.map((unit) => unit.changes))
    for (const [index, unit] of units.entries()) {
      const failure = failures[index]
      if (failure !== undefined) unit.reject(failure)
    }
    return units.filter((_, index) => failures[index] === undefined)
  }

  private sync(units: readonly Unit[]): Promise<void> {
    return new Promise((resolve) => {
      fdatasync(this.logFd, (error) => {
        this.syncing = undefined
        if (error !== null) this.broken = new StoreError('damaged', `sync of the log: ${describeError(error)}`)
        for (const unit of units) {
          if (this.broken === undefined) unit.resolve()
          else unit.reject(this.broken)
        }
        resolve()
        if (this.broken === undefined) this.removeFiles()
        this.shrinkAtTimes()
        this.schedule()
      })
    })
  }

  /** Only after the sync: a power cut before it brings the messages back. A file that stays is an orphan. */
  private removeFiles(): void {
    if (this.snapshot !== undefined) return
    for (const id of this.engine.takeRemoved()) {
      const removal = this.contents.remove(id).catch(() => undefined)
      this.removing = this.removing.then(() => removal)
    }
  }

  private shrinkAtTimes(): void {
    if (++this.commits % commitsPerShrink !== 0 || this.broken !== undefined) return
    try {
      this.engine.shrink(shrinkPages)
    } catch {
      // No caller depends on it; the fault will show at the next commit.
    }
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
