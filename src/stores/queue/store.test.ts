import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { SyncedQueueStore } from './store.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-synced-'))
after(() => rmSync(directory, { recursive: true, force: true }))

test('what waits for the sync is not seen before it, and all who were gathered share the next', async () => {
  const { store } = SyncedQueueStore.open(join(directory, 'queue.db'))
  const order: string[] = []
  const noted = (seenMs: number): Promise<void> => store.commit([{ kind: 'clock', seenMs, aheadMs: 0 }])
  const first = noted(1).then(() => order.push('first'))
  await new Promise((resolve) => setImmediate(resolve))
  // In the log by now, and not synced.
  const seen = store.clock().then((clock) => order.push(`seen ${clock?.seenMs ?? 0}`))
  const others = [2, 3].map((ms) => noted(ms).then(() => order.push(`after ${ms}`)))
  await Promise.all([first, seen, ...others])
  assert.deepEqual(order, ['first', 'seen 1', 'after 2', 'after 3'])
  assert.deepEqual(await store.clock(), { seenMs: 3, aheadMs: 0 })
  await store.close()
})
