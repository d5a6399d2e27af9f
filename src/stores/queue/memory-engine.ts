/** The store contract in memory: for tests and simulations, and as the shortest example of an engine. Nothing outlives the
 *  process. */
import { toBuffer } from '../../base/byte-string.ts'
import { noteMilliseconds } from './absence.ts'
import { changeMessage } from './change.ts'
import {
  type Change,
  type Channel,
  type DueKey,
  type NewBody,
  type QueueCounts,
  type QueuedMessage,
  type QueueStore,
  type StoredClock,
  StoreError,
} from './contract.ts'
import { piecesOf } from './content-files.ts'
import { MessageIds } from './ids.ts'

interface Entry {
  readonly message: QueuedMessage
  readonly content: Buffer
}

export class MemoryEngine implements QueueStore {
  private entries = new Map<number, Entry>()
  /** Sealed bodies whose messages are not added yet. */
  private readonly bodies = new Map<number, Buffer>()
  private noted: StoredClock | undefined
  private ids: MessageIds | undefined

  async commit(unit: readonly Change[]): Promise<void> {
    const entries = new Map(this.entries)
    let { noted } = this
    for (const change of unit) {
      if (change.kind === 'clock') noted = { seenMs: change.seenMs, aheadMs: change.aheadMs }
      else this.apply(entries, change)
    }
    this.entries = entries
    this.noted = noted
    for (const change of unit) if (change.kind === 'add') this.bodies.delete(change.message.id)
    await Promise.resolve()
  }

  due(channel: Channel, atMs: number, limit: number, after: DueKey = { dueMs: -Infinity, id: 0 }): Promise<DueKey[]> {
    const isBehind = ({ dueMs, id }: DueKey): boolean => dueMs > after.dueMs || (dueMs === after.dueMs && id > after.id)
    const keys = this.keys(channel, ({ held }) => !held)
    return Promise.resolve(keys.filter((key) => key.dueMs <= atMs && isBehind(key)).slice(0, limit))
  }

  nextDue(channel: Channel, afterMs: number): Promise<number | undefined> {
    return Promise.resolve(this.keys(channel, () => true).find(({ dueMs }) => dueMs > afterMs)?.dueMs)
  }

  load(ids: readonly number[]): Promise<QueuedMessage[]> {
    return Promise.resolve(ids.flatMap((id) => structuredClone(this.entries.get(id)?.message) ?? []))
  }

  list(afterId: number, limit: number): Promise<QueuedMessage[]> {
    const ids = [...this.entries.keys()].filter((id) => id > afterId).sort((a, b) => a - b)
    return this.load(ids.slice(0, limit))
  }

  newId(nowMs: number): number {
    this.ids ??= new MessageIds(Math.max(0, ...this.entries.keys()), this.noted && this.noted.seenMs + noteMilliseconds)
    return this.ids.next(nowMs)
  }

  newBody(id: number): Promise<NewBody> {
    const written: Uint8Array[] = []
    return Promise.resolve({
      write: async (pieces) => {
        await Promise.resolve(written.push(...pieces.map((bytes) => Buffer.from(bytes))))
      },
      give: () => Promise.resolve(false),
      seal: async () => {
        await Promise.resolve(this.bodies.set(id, Buffer.concat(written)))
      },
      discard: async () => {
        await Promise.resolve(this.bodies.delete(id))
      },
    })
  }

  async *content(id: number): AsyncGenerator<Buffer> {
    const entry = await Promise.resolve(this.entries.get(id))
    if (entry === undefined) throw new StoreError('other', `message ${id} is gone`)
    yield* piecesOf(entry.content)
  }

  async bodyFile(id: number): Promise<undefined> {
    await Promise.resolve()
    if (!this.entries.has(id)) throw new StoreError('other', `message ${id} is gone`)
  }

  counts(): Promise<QueueCounts> {
    const recipients = [...this.entries.values()].flatMap(({ message }) => message.recipients)
    const waiting = (channel: Channel): number =>
      recipients.filter((one) => one.channel === channel && one.state === 'waiting').length
    return Promise.resolve({
      messages: this.entries.size,
      waitingLocal: waiting('local'),
      waitingRemote: waiting('remote'),
    })
  }

  clock(): Promise<StoredClock | undefined> {
    return Promise.resolve(this.noted)
  }

  async close(): Promise<void> {
    // After reopening, ids begin after those in the store.
    this.ids = undefined
    await Promise.resolve()
  }

  /** Existing entries are not changed in place: they may be being read, and the unit may still fail. */
  private apply(entries: Map<number, Entry>, change: Exclude<Change, { kind: 'clock' }>): void {
    if (change.kind === 'add') {
      const { message, content } = change
      const body = content.body ?? this.bodies.get(message.id)
      if (body === undefined || entries.has(message.id)) throw new StoreError('other', `message ${message.id}`)
      const whole = Buffer.concat([toBuffer(content.head), body])
      entries.set(message.id, { message: structuredClone(message), content: whole })
    } else if (change.kind === 'remove') entries.delete(change.id)
    else {
      const ids = 'id' in change && change.id !== undefined ? [change.id] : [...entries.keys()]
      for (const id of ids) {
        const entry = entries.get(id)
        if (entry === undefined) continue
        const message = structuredClone(entry.message)
        changeMessage(message, change)
        entries.set(id, { ...entry, message })
      }
    }
  }

  private keys(channel: Channel, isMeant: (message: QueuedMessage) => boolean): DueKey[] {
    const keys = [...this.entries.values()].flatMap(({ message }) => {
      const dueMs = message.due[channel]
      return dueMs === undefined || !isMeant(message) ? [] : { dueMs, id: message.id }
    })
    return keys.sort((a, b) => a.dueMs - b.dueMs || a.id - b.id)
  }
}
