import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { add, head } from '#test/kit/queued-message.ts'
import { noParams } from '../../contracts/envelope.ts'
import { StoreError } from './contract.ts'
import { QueueEngine, storeError } from './engine.ts'
import { salvageIfDamaged } from './salvage.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-engine-'))
after(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
function freshPath(): string {
  files++
  return join(directory, `queue-${files}.db`)
}

test('a queue of the first version is taken over', () => {
  const path = freshPath()
  const old = new DatabaseSync(path)
  old.exec(`PRAGMA user_version = 1; PRAGMA application_id = 0x51756176;
    CREATE TABLE message (id INTEGER PRIMARY KEY, born INTEGER NOT NULL, sender BLOB NOT NULL, uid INTEGER NOT NULL,
      bytes INTEGER NOT NULL, params BLOB NOT NULL, held INTEGER NOT NULL, bounce BLOB NOT NULL, due_local INTEGER,
      due_remote INTEGER) STRICT;
    CREATE INDEX message_due_local ON message(due_local) WHERE due_local IS NOT NULL;
    CREATE INDEX message_due_remote ON message(due_remote) WHERE due_remote IS NOT NULL;
    CREATE TABLE recipient (message INTEGER NOT NULL, position INTEGER NOT NULL, channel INTEGER NOT NULL,
      state INTEGER NOT NULL, address BLOB NOT NULL, params BLOB NOT NULL, last_text BLOB NOT NULL,
      last_ms INTEGER NOT NULL, PRIMARY KEY (message, position)) STRICT, WITHOUT ROWID;
    CREATE TABLE content (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    INSERT INTO message VALUES (7, 1, x'61', 0, 1, x'', 0, x'3c62', NULL, 9), (8, 1, x'61', 0, 1, x'', 0, x'', NULL, 9);
    INSERT INTO recipient VALUES (7, 0, 1, 2, x'62', x'', x'6e6f', 5), (8, 0, 1, 0, x'62', x'', x'', 0);
    INSERT INTO content VALUES (7, x'78');`)
  old.close()
  const store = new QueueEngine(path)
  const [small, large] = store.load([7, 8])
  assert.deepEqual([small?.inFile, large?.inFile], [false, true])
  assert.deepEqual(small?.recipients[0], {
    channel: 'remote',
    address: 'b',
    original: 'b',
    prependBytes: 0,
    params: noParams,
    state: 'failed',
    last: { class: 5, subject: 0, detail: 0, peerText: 'no', logText: '', answer: undefined },
    lastMs: 5,
  })
  assert.equal(large?.recipients[0]?.last, undefined)
  store.close()
})

test('a queue of the third version is read: what came with a Received line in front needs no head', () => {
  const path = freshPath()
  const old = new DatabaseSync(path)
  old.exec(`PRAGMA user_version = 3; PRAGMA application_id = 0x51756176;
    CREATE TABLE message (id INTEGER PRIMARY KEY, born INTEGER NOT NULL, sender BLOB NOT NULL, uid INTEGER NOT NULL,
      bytes INTEGER NOT NULL, params BLOB NOT NULL, held INTEGER NOT NULL, due_local INTEGER, due_remote INTEGER,
      in_file INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE recipient (message INTEGER NOT NULL, position INTEGER NOT NULL, channel INTEGER NOT NULL,
      state INTEGER NOT NULL, address BLOB NOT NULL, params BLOB NOT NULL, last_text BLOB NOT NULL,
      last_ms INTEGER NOT NULL, original BLOB NOT NULL DEFAULT x'', prepend INTEGER NOT NULL DEFAULT 0,
      last_code INTEGER NOT NULL DEFAULT 0, last_log BLOB NOT NULL DEFAULT x'', last_answer BLOB NOT NULL DEFAULT x'',
      PRIMARY KEY (message, position)) STRICT, WITHOUT ROWID;
    CREATE TABLE content (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER NOT NULL, ahead INTEGER NOT NULL) STRICT;
    INSERT INTO message VALUES (7, 1, x'61', 0, 3, x'', 0, NULL, 9, 0), (8, 1, x'61', 0, 3, x'', 0, NULL, 9, 1);
    INSERT INTO recipient (message, position, channel, state, address, params, last_text, last_ms)
      VALUES (7, 0, 1, 0, x'62', x'', x'', 0), (8, 0, 1, 0, x'62', x'', x'', 0);
    INSERT INTO content VALUES (7, x'783a0a');`)
  old.close()
  const store = new QueueEngine(path)
  assert.deepEqual(
    store.load([7, 8]).map(({ bytes, inFile }) => [bytes, inFile]),
    [
      [3, false],
      [3, true],
    ],
  )
  assert.deepEqual(store.content(7), { head: '', body: Uint8Array.of(0x78, 0x3a, 0x0a) })
  assert.deepEqual(store.content(8), { head: '', body: undefined })
  store.commit([[add(9, 100)]])
  assert.deepEqual(store.content(9), { head, body: Uint8Array.of(0x78) })
  store.close()
})

test('a second store on the same file is refused as busy', () => {
  const path = freshPath()
  const store = new QueueEngine(path)
  assert.throws(
    () => new QueueEngine(path),
    (error: unknown) => error instanceof StoreError && error.kind === 'busy',
  )
  store.close()
})

test("another program's database is refused and left as it is", () => {
  const path = freshPath()
  const foreign = new DatabaseSync(path)
  foreign.exec('PRAGMA application_id = 42; CREATE TABLE t (x)')
  foreign.close()
  const before = readFileSync(path)
  assert.throws(() => new QueueEngine(path), /another program/)
  assert.equal(salvageIfDamaged(path, `${path}.mark`, 1), undefined)
  assert.deepEqual(readFileSync(path), before)
})

test('what SQLite says is damage, a full disk, or neither', () => {
  const kindOf = (errcode: number): string => storeError(Object.assign(new Error('x'), { errcode })).kind
  // SQLITE_FULL; SQLITE_CORRUPT, SQLITE_IOERR_FSYNC, SQLITE_NOTADB; SQLITE_IOERR_WRITE (a quota), SQLITE_READONLY.
  assert.deepEqual([13, 11, 1034, 26, 778, 8].map(kindOf), ['full', 'damaged', 'damaged', 'damaged', 'other', 'other'])
})
