/** HOME/auth/guard.sqlite: failed logins, by peer and by account, and the networks from which each account logged in.
 *  Never:  decides; holds a password; grows past `rowsMax` a table.
 *  Fails:  throws SmallDatabaseError. A damaged file is set aside as guard.sqlite.damaged and begun afresh. */
import { join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ByteString } from '../../base/byte-string.ts'
import {
  beginStoreAfresh,
  type DatabaseForm,
  guarded,
  type KeptStore,
  openKeptStore,
  openSmallDatabase,
} from '../../system/small-database.ts'

export type Subject = 'peer' | 'account'

export interface Failures {
  readonly count: number
  readonly lastMs: number
  /** Nothing is tried before. */
  readonly untilMs: number
  /** Of a peer: the one account that its failures were for; empty for several. */
  readonly only: ByteString
}

export interface FailuresRow extends Failures {
  readonly subject: Subject
  readonly name: ByteString
}

/** "QuLg". */
const form: DatabaseForm = {
  applicationId: 0x51754c67,
  version: 1,
  schema: `
    CREATE TABLE failure (
      subject TEXT NOT NULL,
      name TEXT NOT NULL,
      count INTEGER NOT NULL,
      last_ms INTEGER NOT NULL,
      until_ms INTEGER NOT NULL,
      only_account TEXT NOT NULL,
      PRIMARY KEY (subject, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX failure_last ON failure(last_ms);
    CREATE TABLE success (
      account TEXT NOT NULL,
      network TEXT NOT NULL,
      last_ms INTEGER NOT NULL,
      PRIMARY KEY (account, network)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX success_last ON success(last_ms);`,
}

/** Of a few hundred bytes each; beyond it the oldest go. */
const rowsMax = 200_000
/** Rows removed at once: bounds how long the process is blocked. */
const batch = 500
/** In memory only, where the disk cannot be used. */
const nowhere = ':memory:'

export class LoginGuardStore {
  private readonly path: string
  private readonly database: DatabaseSync
  private readonly rowsLimit: number
  private readonly getFailures: StatementSync
  private readonly putFailures: StatementSync
  private readonly deleteFailures: StatementSync
  private readonly putSuccess: StatementSync
  private readonly getSuccess: StatementSync
  private readonly anySuccess: StatementSync
  private sinceTrim = 0

  /** Use `open`. */
  constructor(path: string, database: DatabaseSync, rowsLimit: number) {
    this.path = path
    this.rowsLimit = rowsLimit
    this.database = database
    this.getFailures = database.prepare('SELECT * FROM failure WHERE subject = ? AND name = ?')
    this.putFailures = database.prepare(
      `INSERT INTO failure VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (subject, name) DO UPDATE SET count = excluded.count,
       last_ms = excluded.last_ms, until_ms = excluded.until_ms, only_account = excluded.only_account`,
    )
    this.deleteFailures = database.prepare('DELETE FROM failure WHERE subject = ? AND name = ?')
    this.putSuccess = database.prepare(
      `INSERT INTO success VALUES (?, ?, ?) ON CONFLICT (account, network) DO UPDATE SET last_ms = excluded.last_ms`,
    )
    this.getSuccess = database.prepare('SELECT last_ms FROM success WHERE account = ? AND network = ?')
    this.anySuccess = database.prepare('SELECT 1 FROM success WHERE account = ? LIMIT 1')
  }

  /** Opens or creates it in HOME/auth. `onTrouble` is told where a damaged file went. */
  static open(directory: string, onTrouble: (text: string) => void, rowsLimit: number = rowsMax): LoginGuardStore {
    return openKeptStore(kept(directory, rowsLimit), onTrouble)
  }

  /** Sets the present file aside, for the reason given, and creates an empty one. */
  static afresh(
    directory: string,
    reason: string,
    onTrouble: (text: string) => void,
    rowsLimit: number = rowsMax,
  ): LoginGuardStore {
    return beginStoreAfresh(kept(directory, rowsLimit), reason, onTrouble)
  }

  /** Forgets all when the process ends. */
  static inMemory(): LoginGuardStore {
    return openSmallDatabase(nowhere, form, (database) => new LoginGuardStore(nowhere, database, rowsMax))
  }

  failures(subject: Subject, name: ByteString): Failures | undefined {
    const row = guarded(this.path, () => this.getFailures.get(subject, name))
    return row === undefined ? undefined : readFailures(row)
  }

  setFailures(subject: Subject, name: ByteString, { count, lastMs, untilMs, only }: Failures): void {
    guarded(this.path, () => this.putFailures.run(subject, name, count, lastMs, untilMs, only))
    // Counting rows is slow, so it is done once per `batch` writes.
    if (++this.sinceTrim >= batch) this.trim()
  }

  /** False if there were none. */
  forget(subject: Subject, name: ByteString): boolean {
    return guarded(this.path, () => this.deleteFailures.run(subject, name)).changes > 0
  }

  setSuccess(account: ByteString, network: string, nowMs: number): void {
    guarded(this.path, () => this.putSuccess.run(account, network, nowMs))
    if (++this.sinceTrim >= batch) this.trim()
  }

  /** Milliseconds since 1970; undefined if never. */
  lastSuccess(account: ByteString, network: string): number | undefined {
    const row = guarded(this.path, () => this.getSuccess.get(account, network))
    return row === undefined ? undefined : Number(row['last_ms'])
  }

  /** The last to fail first. */
  list(countMax: number): FailuresRow[] {
    const rows = guarded(this.path, () =>
      this.database.prepare('SELECT * FROM failure ORDER BY last_ms DESC LIMIT ?').all(countMax),
    )
    return rows.map(readRow)
  }

  /** Accounts that are locked now, the last to fail first. */
  lockedAccounts(nowMs: number, countMax: number): FailuresRow[] {
    const sql = `SELECT * FROM failure WHERE subject = 'account' AND until_ms > ? ORDER BY last_ms DESC LIMIT ?`
    return guarded(this.path, () => this.database.prepare(sql).all(nowMs, countMax)).map(readRow)
  }

  /** A login to it has succeeded lately, from anywhere. */
  hasSucceeded(account: ByteString): boolean {
    return guarded(this.path, () => this.anySuccess.get(account)) !== undefined
  }

  /** Times later than the given one become that time, and no lock is longer than the limit. */
  bringBack(nowMs: number, lockMillisecondsMax: number): void {
    guarded(this.path, () => {
      this.database
        .prepare(
          `UPDATE failure SET last_ms = min(last_ms, ?1), until_ms = min(last_ms, ?1) + min(until_ms - last_ms, ?2)
           WHERE last_ms > ?1 OR until_ms > ?1 + ?2`,
        )
        .run(nowMs, lockMillisecondsMax)
      this.database.prepare('UPDATE success SET last_ms = ?1 WHERE last_ms > ?1').run(nowMs)
    })
  }

  /** Removes some of what is older; true if there may be more. */
  expire(failuresBeforeMs: number, successesBeforeMs: number): boolean {
    const failures = this.removeOldest('failure', failuresBeforeMs, batch)
    return failures + this.removeOldest('success', successesBeforeMs, batch) >= batch
  }

  close(): void {
    guarded(this.path, () => this.database.close())
  }

  private trim(): void {
    this.sinceTrim = 0
    for (const table of ['failure', 'success'] as const) {
      const row = guarded(this.path, () => this.database.prepare(`SELECT count(*) AS n FROM ${table}`).get())
      const tooMany = Number(row?.['n'] ?? 0) - this.rowsLimit
      if (tooMany > 0) this.removeOldest(table, Number.MAX_SAFE_INTEGER, tooMany)
    }
  }

  private removeOldest(table: 'failure' | 'success', beforeMs: number, countMax: number): number {
    const key = table === 'failure' ? '(subject, name)' : '(account, network)'
    const columns = key.slice(1, -1)
    const sql = `DELETE FROM ${table} WHERE ${key} IN (SELECT ${columns} FROM ${table} WHERE last_ms < ? ORDER BY last_ms LIMIT ?)`
    return Number(guarded(this.path, () => this.database.prepare(sql).run(beforeMs, countMax)).changes)
  }
}

function readRow(row: Record<string, unknown>): FailuresRow {
  return {
    subject: row['subject'] === 'peer' ? 'peer' : 'account',
    name: String(row['name']),
    ...readFailures(row),
  }
}

function readFailures(row: Record<string, unknown>): Failures {
  return {
    count: Number(row['count']),
    lastMs: Number(row['last_ms']),
    untilMs: Number(row['until_ms']),
    only: String(row['only_account']),
  }
}

function kept(directory: string, rowsLimit: number): KeptStore<LoginGuardStore> {
  const path = join(directory, 'guard.sqlite')
  const use = (database: DatabaseSync): LoginGuardStore => new LoginGuardStore(path, database, rowsLimit)
  return { path, form, lost: 'failed logins are counted anew', use }
}
