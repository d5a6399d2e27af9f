/** The oracle of the store contract: what any engine of the queue must do. Each case runs on every engine. What only files can
 *  show (damage, older versions, syncs) is in engine.test.ts, salvage.test.ts and store.test.ts. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { add, head, message } from '#test/kit/queued-message.ts'
import type { Status } from '../../base/outcome.ts'
import { realFiles } from '../../system/files.ts'
import { noteMilliseconds } from './absence.ts'
import { changeMessage } from './change.ts'
import { type MessageChange, type QueueStore, StoreError } from './contract.ts'
import { MemoryEngine } from './memory-engine.ts'
import { SyncedQueueStore } from './store.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-store-'))
after(() => rmSync(directory, { recursive: true, force: true }))

let stores = 0

/** Each gives a way to open one empty store, again and again. */
const engines: Readonly<Record<string, () => () => QueueStore>> = {
  SQLite: () => {
    const path = join(directory, String(++stores))
    mkdirSync(join(path, 'content'), { recursive: true })
    return () => SyncedQueueStore.open(path, realFiles)
  },
  memory: () => {
    const store = new MemoryEngine()
    return () => store
  },
}

async function contentOf(store: QueueStore, id: number): Promise<string> {
  return Buffer.concat(await Array.fromAsync(store.content(id))).toString('latin1')
}

const isGone = (error: unknown): boolean => error instanceof StoreError && /gone/.test(error.message)

const refused: Status = {
  class: 5,
  subject: 1,
  detail: 10,
  peerText: 'no\n',
  logText: 'because',
  answer: { name: 'mx.b', address: '192.0.2.1', code: 550, lines: '550-5.1.10 no\n550 \0\xff\n' },
}

for (const [name, begin] of Object.entries(engines)) {
  describe(name, () => {
    test('what was committed is read back to the byte, also after the store was opened again', async () => {
      const open = begin()
      const store = open()
      await store.commit([add(5, 100, 'body \x00\xff\n')])
      await store.close()
      const again = open()
      assert.deepEqual(await again.load([5, 6]), [message(5, 100, `${head}body \x00\xff\n`)])
      assert.equal(await contentOf(again, 5), `${head}body \x00\xff\n`)
      await again.close()
    })

    test('a body of any length comes piece by piece, and is read so', async () => {
      const open = begin()
      const store = open()
      const pieces = ['x'.repeat(65_535), '\x00\xff\n', 'y'.repeat(100_000)]
      const body = await store.newBody(7)
      for (const piece of pieces) await body.write([Buffer.from(piece, 'latin1')])
      await body.seal(pieces.join('').length)
      await store.commit([
        { kind: 'add', message: { ...message(7, 1), inFile: true }, content: { head, body: undefined } },
      ])
      await store.close()
      const again = open()
      const read = await Array.fromAsync(again.content(7))
      assert.ok(read.every(({ length }) => length <= 65_536))
      assert.equal(Buffer.concat(read).toString('latin1'), head + pieces.join(''))
      assert.equal((await again.load([7]))[0]?.inFile, true)
      const file = await again.bodyFile(7)
      if (file !== undefined) {
        assert.equal(file.head, head)
        assert.equal(readFileSync(file.fd, 'latin1'), pieces.join(''))
        file.close()
      }
      await again.close()
    })

    test('the content goes with its message, and a body that was discarded with nobody', async () => {
      const store = begin()()
      for (const id of [1, 2]) {
        const body = await store.newBody(id)
        await body.write([Buffer.from('x')])
        await body.seal(1)
        const taken = { ...message(id, 1), inFile: true }
        if (id === 1) await store.commit([{ kind: 'add', message: taken, content: { head, body: undefined } }])
        else await body.discard()
      }
      assert.equal(await contentOf(store, 1), `${head}x`)
      await store.commit([{ kind: 'remove', id: 1 }])
      for (const id of [1, 2]) await assert.rejects(contentOf(store, id), isGone)
      for (const id of [1, 2]) await assert.rejects(store.bodyFile(id), isGone)
      // Under the same number again: nothing of the old one is in the way.
      await (await store.newBody(2)).discard()
      await store.close()
    })

    test('ids follow the time, and none is given twice', async () => {
      const open = begin()
      const store = open()
      const now = Date.UTC(2026, 0, 1)
      const [first, second] = [store.newId(now), store.newId(now)]
      const later = store.newId(now + 1000)
      const backwards = store.newId(now - 1000)
      assert.ok(first < second && second < later && later < backwards)
      await store.commit([add(backwards, 1), { kind: 'clock', seenMs: now + 5000, aheadMs: 0 }])
      await store.close()
      const again = open()
      // What was given within a minute of the last note may be gone, or delivered.
      const before = begin()().newId(now + 5000 + noteMilliseconds)
      assert.ok(again.newId(now) >= before)
      await again.close()
    })

    test('due messages come by due time, held ones do not come, and what is not due waits', async () => {
      const store = begin()()
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

    test('a message that was tried elsewhere is taken over as it stands', async () => {
      const store = begin()()
      const tried = message(1, 100)
      const [first] = tried.recipients
      if (first !== undefined) Object.assign(first, { state: 'done', last: refused, lastMs: 9 })
      await store.commit([{ kind: 'add', message: tried, content: { head: '', body: Buffer.from('x') } }])
      assert.deepEqual(await store.load([1]), [tried])
      await store.close()
    })

    test('marks, due times and removal are kept, and nothing of a removed message stays', async () => {
      const store = begin()()
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
      await assert.rejects(contentOf(store, 1), isGone)
      assert.deepEqual(await store.counts(), { messages: 1, waitingLocal: 0, waitingRemote: 2 })
      await store.close()
    })

    test('messages due at the same time are paged without losing one', async () => {
      const store = begin()()
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
      const store = begin()()
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

    test('a change does to a stored message what it does to one in memory', async () => {
      const store = begin()()
      const inMemory = message(1, 5000, `${head}x`)
      await store.commit([add(1, 5000), add(2, 5000)])
      const changes: MessageChange[] = [
        { kind: 'mark', id: 1, position: 0, state: 'done', last: { ...refused, class: 2 }, ms: 7 },
        {
          kind: 'mark',
          id: 1,
          position: 1,
          state: 'waiting',
          last: { ...refused, class: 4, answer: undefined },
          ms: 8,
        },
        { kind: 'mark', id: 1, position: 9, state: 'failed', last: refused, ms: 9 },
        { kind: 'due', id: 1, channel: 'local', atMs: 4000 },
        { kind: 'hold', id: 1, held: true },
        { kind: 'hurry', id: 1, atMs: 4500 },
        { kind: 'hurry', id: undefined, atMs: 4200 },
        { kind: 'clamp', bornMs: 900, dueMs: { local: 4100, remote: 4100 } },
        { kind: 'hold', id: 1, held: false },
        { kind: 'due', id: 1, channel: 'remote', atMs: undefined },
        { kind: 'hurry', id: 1, atMs: 3000 },
      ]
      for (const change of changes) {
        changeMessage(inMemory, change)
        await store.commit([change])
        assert.deepEqual(await store.load([1]), [inMemory], JSON.stringify(change))
      }
      const [other] = await store.load([2])
      assert.deepEqual(other?.recipients, message(2, 0).recipients)
      assert.deepEqual([other?.bornMs, other?.due.remote], [900, 4100])
      await store.close()
    })

    test('a unit that fails changes nothing, and does not harm its neighbours in the same commit', async () => {
      const store = begin()()
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
  })
}
