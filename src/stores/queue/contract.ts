/** What the queue process needs of its store, with any engine: changes that are atomic by unit and durable when `commit`
 *  resolves, contents of any length, ids, and reads ordered by due time. Where a body is stored, and what remains of a message
 *  that was not committed, is up to the engine. Times are milliseconds of the queue's own clock (`StoredClock`). */
import type { ByteString } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import type { Params } from '../../contracts/envelope.ts'

export type Channel = 'local' | 'remote'
export const channels: readonly Channel[] = ['local', 'remote']
export type RecipientState = 'waiting' | 'done' | 'failed'

export interface QueuedRecipient {
  readonly channel: Channel
  /** As routed: with envnoathost, percenthack and the virtual domain's prepend applied. */
  readonly address: ByteString
  /** The address as handed in. */
  readonly original: ByteString
  /** How many bytes of `address` are a virtual domain's prepend, which is not shown to the sender. */
  readonly prependBytes: number
  readonly params: Params
  state: RecipientState
  /** Of the last attempt, and when it ended; undefined and 0 before the first. */
  last: Status | undefined
  lastMs: number
}

export interface QueuedMessage {
  readonly id: number
  bornMs: number
  readonly sender: ByteString
  readonly uid: number
  /** Length of the content: head and body. */
  readonly bytes: number
  /** The body came by `newBody`, whatever its length; else with the row. */
  readonly inFile: boolean
  readonly params: Params
  held: boolean
  due: Record<Channel, number | undefined>
  readonly recipients: QueuedRecipient[]
}

/** Readers get the head, then the body. */
export interface StoredContent {
  /** qmail's Received line, and the header lines that were given when the content was closed. */
  readonly head: ByteString
  /** Unchanged; undefined if it was written by `newBody`. */
  readonly body: Uint8Array | undefined
}

/** A change of a stored message; `change.ts` says what it does. */
export type MessageChange =
  | {
      readonly kind: 'mark'
      readonly id: number
      readonly position: number
      readonly state: RecipientState
      readonly last: Status
      readonly ms: number
    }
  | { readonly kind: 'due'; readonly id: number; readonly channel: Channel; readonly atMs: number | undefined }
  | { readonly kind: 'hold'; readonly id: number; readonly held: boolean }
  /** Everything that waits becomes due now: one message, or all. */
  | { readonly kind: 'hurry'; readonly id: number | undefined; readonly atMs: number }
  /** For all messages: births and due times later than these become these. */
  | { readonly kind: 'clamp'; readonly bornMs: number; readonly dueMs: Readonly<Record<Channel, number>> }

export type Change =
  /** A body that came by `newBody` is sealed before. */
  | { readonly kind: 'add'; readonly message: QueuedMessage; readonly content: StoredContent }
  | MessageChange
  /** Its content goes with it. */
  | { readonly kind: 'remove'; readonly id: number }
  /** The clock's reading, from which the next start sees how it was changed. */
  | ({ readonly kind: 'clock' } & StoredClock)

/** A body too large to be held in memory, on its way into the store. Rejects with StoreError. */
export interface NewBody {
  /** One behind the other. */
  write(pieces: readonly Uint8Array[]): Promise<void>
  /** Instead of `write`: has the file, open for writing, sent to another process, which writes the body. False: it was not
   *  sent, or the body is no file. Here it is closed. */
  give(send: (fd: number) => boolean): Promise<boolean>
  /** After it the body survives a power cut; the message is added next. One that was given away must have `bytes`, and
   *  nobody who could change it any more. */
  seal(bytes: number): Promise<void>
  /** Removes a body whose message is not added. If that fails, it is removed when the store is opened next. */
  discard(): Promise<void>
}

/** A body that lies in a file of its own. */
export interface BodyFile {
  readonly head: ByteString
  /** Open for reading. */
  readonly fd: number
  close(): void
}

/** The queue's own clock as it was last noted. */
export interface StoredClock {
  readonly seenMs: number
  /** How far it is ahead of the machine's. */
  readonly aheadMs: number
}

/** A message's place in the order of due times. */
export interface DueKey {
  readonly dueMs: number
  readonly id: number
}

export type CommitTime = 'soon' | 'withOthers'

export interface QueueCounts {
  readonly messages: number
  readonly waitingLocal: number
  readonly waitingRemote: number
}

/** `full`: nothing was written; a later try may succeed. `damaged`: the engine can no longer be trusted. */
export class StoreError extends Error {
  override name = 'StoreError'
  readonly kind: 'full' | 'damaged' | 'busy' | 'other'

  constructor(kind: 'full' | 'damaged' | 'busy' | 'other', message: string) {
    super(message)
    this.kind = kind
  }
}

export interface QueueStore {
  /** All of the unit's changes or none; durable when it resolves. Rejects with StoreError. `soon`: a caller waits for it.
   *  `withOthers`: none does, and it may wait a few milliseconds to share a sync. */
  commit(unit: readonly Change[], when?: CommitTime): Promise<void>
  /** Messages due at or before the time, earliest first, behind the given one; held messages are left out. */
  due(channel: Channel, atMs: number, limit: number, after?: DueKey): Promise<DueKey[]>
  /** When the earliest message after the given time is due. */
  nextDue(channel: Channel, afterMs: number): Promise<number | undefined>
  /** Messages that are still there, in the order asked for. */
  load(ids: readonly number[]): Promise<QueuedMessage[]>
  /** By id, ascending, after the given one. */
  list(afterId: number, limit: number): Promise<QueuedMessage[]>
  /** A number that no message here had before: ascending with time, above all earlier ones. */
  newId(nowMs: number): number
  newBody(id: number): Promise<NewBody>
  /** Head and body in pieces of at most 64 KiB. Throws StoreError if the message is gone. */
  content(id: number): AsyncIterable<Buffer>
  /** Undefined if the body is not in a file; then `content` has it. Throws StoreError if the message is gone. */
  bodyFile(id: number): Promise<BodyFile | undefined>
  counts(): Promise<QueueCounts>
  /** Undefined if it was never noted. */
  clock(): Promise<StoredClock | undefined>
  close(): Promise<void>
}
