/** The queue of a home without a running `queue`, opened by the command line, to move all messages in or out together.
 *  Knows:  the lock that keeps two processes from opening it, and that new files must belong to the queue's account.
 *  Never:  schedules; says what a message means.
 *  Fails:  throws StoreError, `busy` if a `queue` runs; messages move in all together or not at all. */
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { asOwner, type OwnerIds } from '../../system/as-owner.ts'
import type { Clock } from '../../system/clock.ts'
import { realFiles, replaceFile } from '../../system/files.ts'
import { aheadAfterAbsence } from './absence.ts'
import type { Change, NewBody, QueuedMessage, StoredClock } from './contract.ts'
import type { QueueSnapshot } from './snapshot.ts'
import { schedulingChanges } from './change.ts'
import { SyncedQueueStore } from './store.ts'

/** A message and the file that its content is read from. */
export interface MovingIn {
  readonly message: QueuedMessage
  readonly contentPath: string
}

/** The queue that messages came from: recognized by path or identity. */
export interface Origin {
  readonly path: string
  readonly identity: string
}

interface Arrival extends Origin {
  /** The queue's clock as noted in the commit, which shows whether the commit was made. */
  readonly seenMs: number
  readonly atMs: number
  readonly messages: number
}

const rowBytesMax: number = 64 * 1024
/** Limit of contents that one commit puts into rows, and so into memory; the rest go into files. */
const commitBytesMax: number = 64 * 1024 * 1024
const arrivalsBytesMax: number = 1024 * 1024
const pageMax = 200

export class ClosedQueue {
  /** How far the queue's clock is ahead of the machine's. */
  readonly aheadMs: number
  readonly nowMs: number
  private readonly directory: string
  private readonly owner: OwnerIds
  private readonly store: SyncedQueueStore
  private readonly seenBeforeMs: number
  private readonly arrivals: readonly Arrival[]

  private constructor(
    directory: string,
    owner: OwnerIds,
    store: SyncedQueueStore,
    stored: StoredClock | undefined,
    machine: Clock,
    arrivals: readonly Arrival[],
  ) {
    this.directory = directory
    this.owner = owner
    this.store = store
    this.arrivals = arrivals
    this.seenBeforeMs = stored?.seenMs ?? 0
    const machineMs = machine.now()
    this.aheadMs = aheadAfterAbsence(stored, machineMs).aheadMs
    this.nowMs = Math.max(machineMs + this.aheadMs, this.seenBeforeMs + 1)
  }

  /** The directory must exist; its owner is the queue's account. */
  static async open(directory: string, machine: Clock): Promise<ClosedQueue> {
    const { uid, gid } = statSync(directory)
    const owner = { uid, gid }
    return await asOwner(owner, async () => {
      const store = SyncedQueueStore.open(directory, realFiles)
      try {
        return new ClosedQueue(directory, owner, store, await store.clock(), machine, await readArrivals(directory))
      } catch (error) {
        await store.close()
        throw error
      }
    })
  }

  nextId(): number {
    return this.store.newId(this.nowMs)
  }

  /** When the messages of this directory were taken in, or may have been; undefined: never. */
  arrivalOf({ path, identity }: Origin): Date | undefined {
    const known = this.arrivals.find(
      (one) => (one.path === path || one.identity === identity) && one.seenMs <= this.seenBeforeMs,
    )
    return known && new Date(known.atMs)
  }

  /** All or none. `machineMs`: now, by the machine's clock. */
  async takeIn(
    origin: Origin,
    moving: readonly MovingIn[],
    machineMs: number,
    onProgress: (done: number) => void,
  ): Promise<void> {
    const changes = await this.additions(moving, onProgress)
    // Nothing is undone if the commit fails: it may still be on disk, and contents without a row are removed at the next start.
    await this.commit(changes, { ...origin, seenMs: this.nowMs, atMs: machineMs, messages: moving.length })
  }

  /** By id, ascending. */
  async *messages(): AsyncGenerator<QueuedMessage> {
    for (let page = await this.store.list(0, pageMax); page.length > 0; ) {
      yield* page
      page = await this.store.list(page.at(-1)?.id ?? 0, pageMax)
    }
  }

  /** The content in portions, read as the queue's account; throws where the message has none. */
  async *content({ id }: QueuedMessage): AsyncGenerator<Uint8Array> {
    const portions = this.store.content(id)[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await asOwner(this.owner, () => portions.next())
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await portions.return(undefined)
    }
  }

  async remove(messages: readonly QueuedMessage[]): Promise<void> {
    await asOwner(this.owner, async () => {
      await this.store.commit(messages.map(({ id }) => ({ kind: 'remove', id })))
      await this.store.filesRemoved()
    })
  }

  /** A copy for a backup (snapshot.ts). */
  async takeSnapshot(onPages: (left: number, of: number) => void): Promise<QueueSnapshot> {
    return await asOwner(this.owner, () => this.store.takeSnapshot(onPages))
  }

  /** Makes messages without a due time due now (see examine.ts). */
  async schedule(ids: readonly number[]): Promise<void> {
    const found = await this.store.load(ids)
    const changes = found.flatMap((message) => schedulingChanges(message, this.nowMs))
    await asOwner(this.owner, () => this.store.commit(changes))
  }

  /** Holds every message: nothing is attempted until it is released. */
  async holdAll(): Promise<{ readonly held: number; readonly heldBefore: number }> {
    let heldBefore = 0
    const changes: Change[] = []
    for await (const { id, held } of this.messages()) {
      if (held) heldBefore++
      else changes.push({ kind: 'hold', id, held: true })
    }
    await asOwner(this.owner, () => this.store.commit(changes))
    return { held: changes.length, heldBefore }
  }

  async close(): Promise<void> {
    await asOwner(this.owner, () => this.store.close())
  }

  /** Also writes the contents that go into files. If one cannot be read or written, none is left. */
  private async additions(moving: readonly MovingIn[], onProgress: (done: number) => void): Promise<Change[]> {
    const changes: Change[] = []
    const made: NewBody[] = []
    let rowBytes = 0
    try {
      for (const [index, one] of moving.entries()) {
        const { bytes } = one.message
        const inRow = bytes <= rowBytesMax && rowBytes + bytes <= commitBytesMax
        if (inRow) rowBytes += bytes
        const body = inRow ? Buffer.concat([...readPortions(one)]) : await this.copy(one, made)
        // The head is part of the body here: qmail's file begins with it.
        changes.push({ kind: 'add', message: { ...one.message, inFile: !inRow }, content: { head: '', body } })
        onProgress(index + 1)
      }
      return changes
    } catch (error) {
      await asOwner(this.owner, async () => {
        for (const body of made) await body.discard()
      })
      throw error
    }
  }

  /** The arrival is noted first; the clock in the commit tells later whether the commit was made. */
  private async commit(changes: readonly Change[], arrival: Arrival): Promise<void> {
    await asOwner(this.owner, async () => {
      const lines = [...this.arrivals, arrival].map((one) => `${JSON.stringify(one)}\n`)
      await replaceFile(realFiles, arrivalsPath(this.directory), Buffer.from(lines.join('')), 0o600)
      await this.store.commit([...changes, { kind: 'clock', seenMs: this.nowMs, aheadMs: this.aheadMs }])
    })
  }

  private async copy(one: MovingIn, made: NewBody[]): Promise<undefined> {
    // Opened as the caller, who may read it; written as the queue's account.
    const portions = readPortions(one)
    await asOwner(this.owner, async () => {
      const body = await this.store.newBody(one.message.id)
      made.push(body)
      for (const portion of portions) await body.write([portion])
      await body.seal(one.message.bytes)
    })
  }
}

/** Opens the file now, and reads it when the portions are consumed. */
function readPortions({ contentPath, message: { bytes } }: MovingIn): Iterable<Buffer> {
  const fd = openSync(contentPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  return portionsOf(fd, contentPath, bytes)
}

function* portionsOf(fd: number, path: string, bytes: number): Generator<Buffer> {
  try {
    let at = 0
    while (at < bytes) {
      const portion = Buffer.alloc(Math.min(rowBytesMax, bytes - at))
      const count = readSync(fd, portion, 0, portion.length, at)
      if (count === 0) throw new Error(`${path} became shorter while it was read: nothing was taken`)
      at += count
      yield portion.subarray(0, count)
    }
  } finally {
    closeSync(fd)
  }
}

function arrivalsPath(directory: string): string {
  return join(directory, 'adopted')
}

async function readArrivals(directory: string): Promise<Arrival[]> {
  const path = arrivalsPath(directory)
  const text = await realFiles.read(path, arrivalsBytesMax)
  const lines = (text?.toString('utf8') ?? '').split('\n').filter((line) => line !== '')
  return lines.map((line, index) => {
    const arrival = parseArrival(line)
    if (arrival !== undefined) return arrival
    throw new Error(`${path} line ${index + 1} is not what was written there: it says what was taken over before`)
  })
}

function parseArrival(line: string): Arrival | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return undefined
  }
  const fields = new Map<string, unknown>(typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : [])
  const [path, identity] = [fields.get('path'), fields.get('identity')]
  const [seenMs, atMs, messages] = ['seenMs', 'atMs', 'messages'].map((name) => fields.get(name))
  if (typeof path !== 'string' || typeof identity !== 'string') return undefined
  if (typeof seenMs !== 'number' || typeof atMs !== 'number' || typeof messages !== 'number') return undefined
  return { path, identity, seenMs, atMs, messages }
}
