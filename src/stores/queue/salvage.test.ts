import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { add, head } from '#test/kit/queued-message.ts'
import { realFiles } from '../../system/files.ts'
import { damageMarker, openQueue, type OpeningNews } from './open.ts'
import { noteDamage, salvageIfDamaged, type Salvage } from './salvage.ts'
import { SyncedQueueStore } from './store.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-salvage-'))
after(() => rmSync(directory, { recursive: true, force: true }))

let queues = 0
function freshQueue(): string {
  const path = join(directory, String(++queues))
  mkdirSync(join(path, 'content'), { recursive: true })
  return path
}

test('a damaged page loses what was on it and nothing else', async () => {
  const queue = freshQueue()
  const path = join(queue, 'queue.db')
  const marker = damageMarker(queue)
  const store = SyncedQueueStore.open(queue, realFiles)
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
  const fresh = SyncedQueueStore.open(queue, realFiles)
  const saved = await fresh.list(0, 300)
  assert.equal(saved.length, salvage.saved)
  for (const { id } of saved) {
    assert.deepEqual(Buffer.concat(await Array.fromAsync(fresh.content(id))).length, head.length + 6000)
  }
  await fresh.close()
  assert.equal(salvageIfDamaged(path, marker, 78), undefined)
})

test('a file that is no database is set aside and a fresh one begun', async () => {
  const queue = freshQueue()
  writeFileSync(join(queue, 'queue.db'), 'this is not a database, and longer than a header needs to be'.repeat(100))
  // Perhaps all that is left of a message.
  writeFileSync(join(queue, 'content/5'), 'x')
  const told: Salvage[] = []
  const news: OpeningNews = { salvaged: (salvage) => told.push(salvage), foreign: () => assert.fail() }
  const store = await openQueue(queue, realFiles, 9, news)
  assert.deepEqual(told, [{ asideAs: join(queue, 'queue.db.damaged-9'), saved: 0, lost: 0 }])
  await store.commit([add(1, 1)])
  await store.close()
  assert.ok(existsSync(join(queue, 'content/5')))
})

test('bodies of no message are removed when the queue is opened, and nothing else', async () => {
  const queue = freshQueue()
  const store = SyncedQueueStore.open(queue, realFiles)
  await store.commit([add(6, 1)])
  await store.close()
  for (const name of ['5', '6', 'notes.txt']) writeFileSync(join(queue, 'content', name), 'x')
  const told: string[] = []
  const news: OpeningNews = { salvaged: () => assert.fail(), foreign: (name) => told.push(name) }
  await (await openQueue(queue, realFiles, 9, news)).close()
  assert.deepEqual(told, ['notes.txt'])
  assert.deepEqual(readdirSync(join(queue, 'content')).sort(), ['6', 'notes.txt'])
})
