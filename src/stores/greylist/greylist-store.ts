/** HOME/greylist/greylist.db: the state of each triple. Losing it only delays mail.
 *  Knows:  digests, not addresses: a stolen file does not tell who writes to whom.
 *  Never:  decides; grows past `entriesMax`.
 *  Fails:  throws SmallDatabaseError. A damaged file is set aside as greylist.db.damaged (one is kept) and begun afresh. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import type { Remembered } from '../../protocols/greylist/triple.ts'
import {
  beginStoreAfresh,
  type DatabaseForm,
  guarded,
  type KeptStore,
  openKeptStore,
} from '../../system/small-database.ts'

const digestBytes = 16
/** About 100 bytes each. */
const entriesMax = 1_000_000
/** Removed in one go: a bound on how long the process is held up. */
const batch = 500

/** "QuGl". */
const form: DatabaseForm = {
  applicationId: 0x5175476c,
  version: 1,
  schema: `
  CREATE TABLE triple (
    digest BLOB PRIMARY KEY,
    first_ms INTEGER NOT NULL,
    good INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX triple_expires ON triple(expires_ms);`,
}

export class GreylistStore {
  private readonly database: DatabaseSync
  private readonly getRow: StatementSync
  private readonly putRow: StatementSync
  private readonly deleteRow: StatementSync
  private readonly deleteDue: StatementSync
  private readonly entriesLimit: number
  private entries: number

  /** Use `open`. */
  constructor(database: DatabaseSync, entriesLimit: number) {
    this.database = database
    this.entriesLimit = entriesLimit
    this.getRow = database.prepare('SELECT first_ms, good, expires_ms FROM triple WHERE digest = ?')
    this.putRow = database.prepare(
      `INSERT INTO triple VALUES (?, ?, ?, ?) ON CONFLICT (digest)
       DO UPDATE SET first_ms = excluded.first_ms, good = excluded.good, expires_ms = excluded.expires_ms`,
    )
    this.deleteRow = database.prepare('DELETE FROM triple WHERE digest = ?')
    this.deleteDue = database.prepare(
      `DELETE FROM triple WHERE digest IN
       (SELECT digest FROM triple WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ${batch})`,
    )
    this.entries = Number(database.prepare('SELECT count(*) AS n FROM triple').get()?.['n'] ?? 0)
  }

  /** Opens or creates it. `onDamage` is told where a damaged file went. */
  static open(directory: string, onDamage: (text: string) => void, entriesLimit: number = entriesMax): GreylistStore {
    return openKeptStore(kept(directory, entriesLimit), onDamage)
  }

  /** Sets the present file aside, for the reason given, and creates an empty one. */
  static afresh(
    directory: string,
    reason: string,
    onDamage: (text: string) => void,
    entriesLimit: number = entriesMax,
  ): GreylistStore {
    return beginStoreAfresh(kept(directory, entriesLimit), reason, onDamage)
  }

  get count(): number {
    return this.entries
  }

  get(key: GreylistKey): Remembered | undefined {
    const row = guard(() => this.getRow.get(digest(key)))
    if (row === undefined) return undefined
    return { firstMs: Number(row['first_ms']), good: row['good'] === 1, expiresMs: Number(row['expires_ms']) }
  }

  /** `isNew`: there was none before. */
  put(key: GreylistKey, { firstMs, good, expiresMs }: Remembered, isNew: boolean): void {
    if (isNew && this.entries >= this.entriesLimit) this.removeDue(Number.MAX_SAFE_INTEGER)
    guard(() => this.putRow.run(digest(key), firstMs, good ? 1 : 0, expiresMs))
    if (isNew) this.entries++
  }

  remove(key: GreylistKey): void {
    const { changes } = guard(() => this.deleteRow.run(digest(key)))
    this.entries -= Number(changes)
  }

  /** Removes some of what has expired; true if there may be more. */
  expire(nowMs: number): boolean {
    return this.removeDue(nowMs) === batch
  }

  close(): void {
    guard(() => this.database.close())
  }

  /** Removes those that expire next: young triples before good ones. */
  private removeDue(atMs: number): number {
    const removed = Number(guard(() => this.deleteDue.run(atMs)).changes)
    this.entries -= removed
    return removed
  }
}

export interface GreylistKey {
  readonly ip: string
  readonly sender: ByteString
  readonly recipient: ByteString
}

/** Each field has its length before it, so that different triples never give the same text. */
function digest({ ip, sender, recipient }: GreylistKey): Buffer {
  const text = [ip, sender, recipient].map((field) => `${field.length}:${field}`).join('')
  return createHash('sha256').update(toBuffer(text)).digest().subarray(0, digestBytes)
}

function kept(directory: string, entriesLimit: number): KeptStore<GreylistStore> {
  const use = (database: DatabaseSync): GreylistStore => new GreylistStore(database, entriesLimit)
  return { path: join(directory, 'greylist.db'), form, lost: 'all triples are new again', use }
}

function guard<T>(act: () => T): T {
  return guarded('greylist.db', act)
}
