/** The queue store as its process sees it: promises in front, the engine's thread behind, group commit between them.
 *  Whatever is to be committed while a commit is being synced goes together into the next one.
 *  Fails:  rejects with StoreError; a dead thread is a bug and ends the process. */
import { Worker } from 'node:worker_threads'
import {
  type Change,
  type Channel,
  type CommitTime,
  type DueKey,
  type QueueCounts,
  type QueuedMessage,
  type QueueStore,
  type StoredClock,
  type StoredContent,
  StoreError,
} from './contract.ts'
import type { StoreFailure, StoreReply, StoreRequest } from './worker.ts'

/** One commit takes at most so many units: a bound on how long one transaction can grow. */
const unitsPerCommitMax = 1000
/** How long a change that nobody waits for is kept, so that it can share the sync of one that somebody does. A crash in
 *  this time means one delivery more, never one less. */
const patienceMilliseconds = 10

interface Unit {
  readonly changes: readonly Change[]
  readonly resolve: () => void
  readonly reject: (error: StoreError) => void
}

export class ThreadedQueueStore implements QueueStore {
  private readonly worker: Worker
  private readonly replies: ((reply: StoreReply) => void)[] = []
  private gathered: Unit[] = []
  private committing = false
  private scheduled = false
  private urgent = false
  private patient: NodeJS.Timeout | undefined

  private constructor(worker: Worker) {
    this.worker = worker
    worker.on('message', (reply: StoreReply) => this.replies.shift()?.(reply))
    worker.on('error', (error: unknown) => {
      throw error
    })
  }

  /** Opens or creates the database; the largest id in it comes with the store. */
  static async open(path: string): Promise<{ store: ThreadedQueueStore; largestId: number }> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), { workerData: path })
    const store = new ThreadedQueueStore(worker)
    try {
      return { store, largestId: await store.ask<number>({ op: 'open' }) }
    } catch (error) {
      await worker.terminate()
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
    return this.ask({ op: 'due', channel, atMs, limit, after })
  }

  nextDue(channel: Channel, afterMs: number): Promise<number | undefined> {
    return this.ask({ op: 'nextDue', channel, afterMs })
  }

  load(ids: readonly number[]): Promise<QueuedMessage[]> {
    return this.ask({ op: 'load', ids })
  }

  list(afterId: number, limit: number): Promise<QueuedMessage[]> {
    return this.ask({ op: 'list', afterId, limit })
  }

  content(id: number): Promise<StoredContent | undefined> {
    return this.ask({ op: 'content', id })
  }

  /** Those of the ids that have a row. */
  existing(ids: readonly number[]): Promise<number[]> {
    return this.ask({ op: 'existing', ids })
  }

  counts(): Promise<QueueCounts> {
    return this.ask({ op: 'counts' })
  }

  clock(): Promise<StoredClock | undefined> {
    return this.ask({ op: 'clock' })
  }

  async close(): Promise<void> {
    await this.ask({ op: 'close' })
    await this.worker.terminate()
  }

  /** Urgent units leave at the end of this turn, whose rest may bring more; the others wait for an urgent one, or for
   *  `patienceMilliseconds`. Either way, what is gathered leaves together. */
  private schedule(): void {
    if (this.committing || this.scheduled || this.gathered.length === 0) return
    if (this.urgent) {
      this.scheduled = true
      setImmediate(() => this.flush())
    } else this.patient ??= setTimeout(() => this.flush(), patienceMilliseconds)
  }

  private flush(): void {
    this.scheduled = false
    clearTimeout(this.patient)
    this.patient = undefined
    if (this.committing || this.gathered.length === 0) return
    this.committing = true
    this.urgent = this.gathered.length > unitsPerCommitMax
    const units = this.gathered.splice(0, unitsPerCommitMax)
    void this.ask<(StoreFailure | undefined)[]>({ op: 'commit', units: units.map((unit) => unit.changes) }).then(
      (failures) => {
        for (const [index, unit] of units.entries()) {
          const failure = failures[index]
          if (failure === undefined) unit.resolve()
          else unit.reject(new StoreError(failure.kind, failure.message))
        }
        this.committed()
      },
      (error: unknown) => {
        const failure = error instanceof StoreError ? error : new StoreError('other', String(error))
        for (const unit of units) unit.reject(failure)
        this.committed()
      },
    )
  }

  private committed(): void {
    this.committing = false
    this.schedule()
  }

  private ask<T>(request: StoreRequest): Promise<T> {
    return new Promise((resolve, reject) => {
      this.replies.push((reply) => {
        if ('failure' in reply) reject(new StoreError(reply.failure.kind, reply.failure.message))
        else resolve(reply.value as T)
      })
      this.worker.postMessage(request)
    })
  }
}
