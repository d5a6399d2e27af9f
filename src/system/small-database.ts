/** A small SQLite file that one process keeps for itself and can lose: WAL, synchronous=NORMAL (a killed process loses
 *  nothing, a power cut the last seconds).
 *  Knows:  how such a file is opened, locked, recognised and set aside.
 *  Never:  knows what is in it.
 *  Fails:  throws SmallDatabaseError, which says whether the file cannot be trusted any more. */
import { renameSync, rmSync } from 'node:fs'
import { basename } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describeError } from '../base/outcome.ts'

export class SmallDatabaseError extends Error {
  override name = 'SmallDatabaseError'
  readonly damaged: boolean

  constructor(damaged: boolean, text: string) {
    super(text)
    this.damaged = damaged
  }
}

export interface DatabaseForm {
  /** Four letters as a number: a database of another program is refused. */
  readonly applicationId: number
  readonly version: number
  /** Makes the tables of an empty file. */
  readonly schema: string
}

const lockMillisecondsMax = 1_000
/** SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB. */
const damageCodes: ReadonlySet<number> = new Set([10, 11, 26])

/** Opens or creates it, and keeps every other process out; what `use` throws closes it again. `:memory:` is a file that
 *  is never written. */
export function openSmallDatabase<T>(path: string, form: DatabaseForm, use: (database: DatabaseSync) => T): T {
  return guarded(path, () => {
    const database = new DatabaseSync(path, { timeout: lockMillisecondsMax })
    try {
      prepare(database, path, form)
      return use(database)
    } catch (error) {
      database.close()
      throw error
    }
  })
}

/** A store in such a file. */
export interface KeptStore<T> {
  readonly path: string
  readonly form: DatabaseForm
  /** What is gone with a damaged file, for the log. */
  readonly lost: string
  readonly use: (database: DatabaseSync) => T
}

/** Opens or creates it. `onDamage` is told where a damaged file went. */
export function openKeptStore<T>(kept: KeptStore<T>, onDamage: (text: string) => void): T {
  try {
    return openSmallDatabase(kept.path, kept.form, kept.use)
  } catch (error) {
    if (!(error instanceof SmallDatabaseError) || !error.damaged) throw error
    return beginStoreAfresh(kept, error.message, onDamage)
  }
}

/** Sets the present file aside, for the reason given, and creates an empty one. */
export function beginStoreAfresh<T>(kept: KeptStore<T>, reason: string, onDamage: (text: string) => void): T {
  setDatabaseAside(kept.path)
  onDamage(`${reason}; set aside as ${kept.path}.damaged, ${kept.lost}`)
  return openSmallDatabase(kept.path, kept.form, kept.use)
}

/** Moves it to `path.damaged`, of which one is kept. */
function setDatabaseAside(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(`${path}.damaged${suffix}`, { force: true })
    try {
      renameSync(path + suffix, `${path}.damaged${suffix}`)
    } catch {
      // A side file that is not there, or was removed when the database was closed.
    }
  }
}

/** What SQLite throws becomes SmallDatabaseError. */
export function guarded<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (error instanceof SmallDatabaseError) throw error
    const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
    throw new SmallDatabaseError(damageCodes.has(code), `${basename(path)}: ${describeError(error)}`)
  }
}

function prepare(database: DatabaseSync, path: string, { applicationId, version, schema }: DatabaseForm): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  const found = pragma(database, 'user_version')
  const application = pragma(database, 'application_id')
  if (found > version || (application !== applicationId && (found !== 0 || application !== 0)))
    throw new SmallDatabaseError(false, `${path} belongs to another program or a later version`)
  database.exec('PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL')
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096')
  // An immediate transaction takes the lock that keeps a second process out.
  database.exec('BEGIN IMMEDIATE')
  if (found === 0) database.exec(schema)
  database.exec(`PRAGMA user_version = ${version}; PRAGMA application_id = ${applicationId}; COMMIT`)
}

/** The value of a PRAGMA that is a number. */
export function pragma(database: DatabaseSync, name: string): number {
  const value = database.prepare(`PRAGMA ${name}`).get()?.[name]
  return typeof value === 'number' ? value : 0
}
