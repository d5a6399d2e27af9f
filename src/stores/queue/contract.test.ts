/** The oracle of the store contract: what any engine of the queue must do. */
import assert from 'node:assert/strict'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Status } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import type { Change, QueuedMessage } from './contract.ts'
import { StoreError } from './contract.ts'
import { storeError } from './engine.ts'
import { noteDamage, salvageIfDamaged } from './salvage.ts'
import { SyncedQueueStore } from './store.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-store-'))
after(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
function freshPath(): string {
  files++
  return join(directory, `queue-${files}.db`)
}

function message(id: number, dueMs: number, text = ''): QueuedMessage {
  return {
    id,
    bornMs: 1000,
    sender: `s${id}\xff@x`,
    uid: 7,
    bytes: text.length,
    params: new Map([['BODY', '8BITMIME']]),
    held: false,
    inFile: false,
    due: { local: undefined, remote: dueMs },
    recipients: ['a@b', 'c@d'].map((address) => {
      const original = `${address}.as-given`
      const params = new Map([['NOTIFY', 'NEVER']])
      return {
        channel: 'remote',
        address,
        original,
        prependBytes: 2,
        params,
        state: 'waiting',
        last: undefined,
        lastMs: 0,
      }
    }),
  }
}

const head = 'Received: \xff\n'

function add(id: number, dueMs: number, text = 'x'): Change {
  return { kind: 'add', message: message(id, dueMs, head + text), content: { head, body: Buffer.from(text, 'latin1') } }
}

test('what was committed is read back to the byte, also after the store was opened again', async () => {
  const path = freshPath()
  const { store } = SyncedQueueStore.open(path)
  await store.commit([add(5, 100, 'body \x00\xff\n')])
  await store.close()
  const { store: again, largestId } = SyncedQueueStore.open(path)
  assert.equal(largestId, 5)
  assert.deepEqual(await again.load([5, 6]), [message(5, 100, `${head}body \x00\xff\n`)])
  const content = await again.content(5)
  assert.equal(content?.head, head)
  assert.deepEqual(content.body, Uint8Array.from(Buffer.from('body \x00\xff\n', 'latin1')))
  await again.close()
})

test('due messages come by due time, held ones do not come, and what is not due waits', async () => {
  const { store } = SyncedQueueStore.open(freshPath())
  await store.commit([add(1, 300), add(2, 100), add(3, 200), add(4, 999)])
  await store.commit([{ kind: 'hold', id: 3, held: true }])
  const [second, first] = [
    { dueMs: 100, id: 2 },
    { dueMs: 300, id: 1 },
  ]
  assert.deepEqual(await store.due('remote', 500, 10), [second, first])
  assert.deepEqual(await store.due('remote', 500, 1), [second])
  assert.deepEqual(await store.due('remote', 500, 1, second), [first])
  assert.deepEqual(await store.due('local', 500, 10), [])
  assert.equal(await store.nextDue('remote', 500), 999)
  assert.equal(await store.nextDue('local', 0), undefined)
  await store.close()
})

const refused: Status = {
  class: 5,
  subject: 1,
  detail: 10,
  peerText: 'no\n',
  logText: 'because',
  answer: { name: 'mx.b', address: '192.0.2.1', code: 550, lines: '550-5.1.10 no\n550 \0\xff\n' },
}

test('a message that was tried elsewhere is taken over as it stands', async () => {
  const { store } = SyncedQueueStore.open(freshPath())
  const tried = message(1, 100)
  const [first] = tried.recipients
  if (first !== undefined) Object.assign(first, { state: 'done', last: refused, lastMs: 9 })
  await store.commit([{ kind: 'add', message: tried, content: { head: '', body: Buffer.from('x') } }])
  assert.deepEqual(await store.load([1]), [tried])
  await store.close()
})

test('marks, due times and removal are kept, and nothing of a removed message stays', async () => {
  const { store } = SyncedQueueStore.open(freshPath())
  await store.commit([add(1, 100)])
  await store.commit([
    { kind: 'mark', id: 1, position: 1, state: 'failed', last: refused, ms: 42 },
    { kind: 'due', id: 1, channel: 'remote', atMs: 4000 },
  ])
  const [loaded] = await store.load([1])
  assert.equal(loaded?.recipients[1]?.state, 'failed')
  assert.deepEqual(loaded?.recipients[1]?.last, refused)
  assert.equal(loaded?.recipients[0]?.state, 'waiting')
  assert.equal(loaded?.due.remote, 4000)
  assert.deepEqual(await store.counts(), { messages: 1, waitingLocal: 0, waitingRemote: 1 })
  await store.commit([{ kind: 'hurry', id: undefined, atMs: 50 }])
  assert.deepEqual(await store.due('remote', 50, 10), [{ dueMs: 50, id: 1 }])
  await store.commit([{ kind: 'remove', id: 1 }, add(2, 100)])
  assert.deepEqual(
    (await store.list(0, 10)).map(({ id }) => id),
    [2],
  )
  assert.equal(await store.content(1), undefined)
  assert.deepEqual(await store.counts(), { messages: 1, waitingLocal: 0, waitingRemote: 2 })
  await store.close()
})

test('messages due at the same time are paged without losing one', async () => {
  const { store } = SyncedQueueStore.open(freshPath())
  await store.commit([add(3, 100), add(1, 100), add(2, 100)])
  const page = await store.due('remote', 100, 2)
  assert.deepEqual(
    page.map(({ id }) => id),
    [1, 2],
  )
  assert.deepEqual(await store.due('remote', 100, 2, page[1]), [{ dueMs: 100, id: 3 }])
  await store.close()
})

test('times later than can be are brought back, and the clock is noted', async () => {
  const { store } = SyncedQueueStore.open(freshPath())
  assert.equal(await store.clock(), undefined)
  await store.commit([add(1, 100), add(2, 9000), { kind: 'clock', seenMs: 5, aheadMs: -7 }])
  await store.commit([{ kind: 'clamp', bornMs: 500, dueMs: { local: 600, remote: 700 } }])
  const messages = await store.load([1, 2])
  assert.deepEqual(
    messages.map(({ bornMs, due }) => [bornMs, due.local, due.remote]),
    [
      [500, undefined, 100],
      [500, undefined, 700],
    ],
  )
  assert.deepEqual(await store.clock(), { seenMs: 5, aheadMs: -7 })
  await store.close()
})

test('a queue of the first version is taken over', async () => {
  const path = freshPath()
  const { DatabaseSync } = await import('node:sqlite')
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
  const { store } = SyncedQueueStore.open(path)
  const [small, large] = await store.load([7, 8])
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
  await store.close()
})

test('a queue of the third version is read: what came with a Received line in front needs no head', async () => {
  const path = freshPath()
  const { DatabaseSync } = await import('node:sqlite')
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
  const { store } = SyncedQueueStore.open(path)
  assert.deepEqual(
    (await store.load([7, 8])).map(({ bytes, inFile }) => [bytes, inFile]),
    [
      [3, false],
      [3, true],
    ],
  )
  assert.deepEqual(await store.content(7), { head: '', body: Uint8Array.of(0x78, 0x3a, 0x0a) })
  assert.deepEqual(await store.content(8), { head: '', body: undefined })
  await store.commit([add(9, 100)])
  assert.deepEqual(await store.content(9), { head, body: Uint8Array.of(0x78) })
  await store.close()
})

test('a unit that fails changes nothing, and does not harm its neighbours in the same commit', async () => {
  const { store } = SyncedQueueStore.open(freshPath())
  await store.commit([add(1, 100)])
  const outcomes = await Promise.allSettled([
    store.commit([add(2, 100)]),
    store.commit([{ kind: 'remove', id: 1 }, add(2, 100), add(2, 100)]),
    store.commit([add(3, 100)]),
  ])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(
    (await store.list(0, 10)).map(({ id }) => id),
    [1, 2, 3],
  )
  await store.close()
})

test('a second store on the same file is refused as busy', async () => {
  const path = freshPath()
  const { store } = SyncedQueueStore.open(path)
  assert.throws(
    () => SyncedQueueStore.open(path),
    (error: unknown) => error instanceof StoreError && error.kind === 'busy',
  )
  await store.close()
})

test("another program's database is refused and left as it is", async () => {
  const path = freshPath()
  const { DatabaseSync } = await import('node:sqlite')
  const foreign = new DatabaseSync(path)
  foreign.exec('PRAGMA application_id = 42; CREATE TABLE t (x)')
  foreign.close()
  const before = readFileSync(path)
  assert.throws(() => SyncedQueueStore.open(path), /another program/)
  assert.equal(salvageIfDamaged(path, `${path}.mark`, 1), undefined)
  assert.deepEqual(readFileSync(path), before)
})

test('a damaged page loses what was on it and nothing else', async () => {
  const path = freshPath()
  const marker = `${path}.mark`
  const { store } = SyncedQueueStore.open(path)
  const units = Array.from({ length: 200 }, (_, n) => [add(n + 1, 100, 'y'.repeat(6000))])
  await Promise.all(units.map((unit) => store.commit(unit)))
  await store.close()
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.alloc(4096, 0xa5), 0, 4096, 4096 * 150)
  noteDamage(marker, 'test')
  const salvage = salvageIfDamaged(path, marker, 77)
  assert.equal(salvage?.asideAs, `${path}.damaged-77`)
  assert.ok(salvage.saved >= 150, `${salvage.saved} saved`)
  assert.equal(salvage.saved + salvage.lost, 200)
  const { store: fresh } = SyncedQueueStore.open(path)
  const saved = await fresh.list(0, 300)
  assert.equal(saved.length, salvage.saved)
  for (const { id } of saved) {
    const content = await fresh.content(id)
    assert.deepEqual([content?.head, content?.body?.length], [head, 6000])
  }
  await fresh.close()
  assert.equal(salvageIfDamaged(path, marker, 78), undefined)
})

test('a file that is no database is set aside and a fresh one begun', async () => {
  const path = freshPath()
  writeFileSync(path, 'this is not a database, and longer than a header needs to be'.repeat(100))
  const salvage = salvageIfDamaged(path, `${path}.mark`, 9)
  assert.deepEqual(salvage, { asideAs: `${path}.damaged-9`, saved: 0, lost: 0 })
  const { store } = SyncedQueueStore.open(path)
  await store.commit([add(1, 1)])
  await store.close()
})

test('what SQLite says is damage, a full disk, or neither', () => {
  const kindOf = (errcode: number): string => storeError(Object.assign(new Error('x'), { errcode })).kind
  // SQLITE_FULL; SQLITE_CORRUPT, SQLITE_IOERR_FSYNC, SQLITE_NOTADB; SQLITE_IOERR_WRITE (a quota), SQLITE_READONLY.
  assert.deepEqual([13, 11, 1034, 26, 778, 8].map(kindOf), ['full', 'damaged', 'damaged', 'damaged', 'other', 'other'])
})
