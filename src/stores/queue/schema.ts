/** The database's shape, version by version. A new version appends a migration; none is ever edited. */
import type { DatabaseSync } from 'node:sqlite'
import { pragma } from '../../system/small-database.ts'
import { StoreError } from './contract.ts'

/** "Quav": a database of another program is refused, not migrated. */
const applicationId = 0x51756176

const migrations: readonly string[] = [
  `CREATE TABLE message (
     id INTEGER PRIMARY KEY,
     born INTEGER NOT NULL,
     sender BLOB NOT NULL,
     uid INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     params BLOB NOT NULL,
     held INTEGER NOT NULL,
     bounce BLOB NOT NULL,
     due_local INTEGER,
     due_remote INTEGER
   ) STRICT;
   CREATE INDEX message_due_local ON message(due_local) WHERE due_local IS NOT NULL;
   CREATE INDEX message_due_remote ON message(due_remote) WHERE due_remote IS NOT NULL;
   CREATE TABLE recipient (
     message INTEGER NOT NULL,
     position INTEGER NOT NULL,
     channel INTEGER NOT NULL,
     state INTEGER NOT NULL,
     address BLOB NOT NULL,
     params BLOB NOT NULL,
     last_text BLOB NOT NULL,
     last_ms INTEGER NOT NULL,
     PRIMARY KEY (message, position)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE content (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;`,
  // The bounce is made from the failed recipients' rows; a column says where the content is.
  `ALTER TABLE message DROP COLUMN bounce;
   ALTER TABLE message ADD COLUMN in_file INTEGER NOT NULL DEFAULT 0;
   UPDATE message SET in_file = 1 WHERE id NOT IN (SELECT id FROM content);
   CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER NOT NULL, ahead INTEGER NOT NULL) STRICT;`,
  // An empty original means the routed address. Older rows hold neither an original nor a status, only its class.
  `ALTER TABLE recipient ADD COLUMN original BLOB NOT NULL DEFAULT x'';
   ALTER TABLE recipient ADD COLUMN prepend INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE recipient ADD COLUMN last_code INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE recipient ADD COLUMN last_log BLOB NOT NULL DEFAULT x'';
   ALTER TABLE recipient ADD COLUMN last_answer BLOB NOT NULL DEFAULT x'';
   UPDATE recipient SET last_code = CASE state WHEN 0 THEN 4000000 WHEN 1 THEN 2000000 ELSE 5000000 END
     WHERE last_ms > 0 OR state > 0;`,
  // Older content begins with qmail's Received line, so its head is empty.
  "ALTER TABLE message ADD COLUMN head BLOB NOT NULL DEFAULT x'';",
]

const cacheKibibytes = 8192
/** Of 4 KiB, in the log before it is carried over: 16 MiB. */
const logPages = 4000

/** Checks that the database is ours before anything is written; then sets pragmas and runs missing migrations. */
export function prepareDatabase(database: DatabaseSync): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  const version = pragma(database, 'user_version')
  const application = pragma(database, 'application_id')
  if (version > migrations.length) {
    throw new StoreError(
      'other',
      `queue.db has version ${version}, this program knows ${migrations.length}: upgrade it`,
    )
  }
  if (application !== applicationId && (version !== 0 || application !== 0)) {
    throw new StoreError('other', 'queue.db belongs to another program')
  }
  database.exec('PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL')
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY')
  // An immediate transaction even when nothing is to be done: it takes the lock that keeps a second queue out.
  database.exec('BEGIN IMMEDIATE')
  for (const migration of migrations.slice(version)) database.exec(migration)
  database.exec(`PRAGMA user_version = ${migrations.length}; PRAGMA application_id = ${applicationId}; COMMIT`)
  // From now on store.ts syncs the log before a commit resolves; SQLite itself syncs around its checkpoints.
  database.exec('PRAGMA synchronous = NORMAL')
  // A body of 64 KiB is 17 pages, which are read again when it goes: those of a hundred messages stay at hand, and what has
  // come and gone between two checkpoints is not carried over.
  database.exec(`PRAGMA cache_size = -${cacheKibibytes}; PRAGMA wal_autocheckpoint = ${logPages}`)
}
