import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { message } from '#test/kit/queued-message.ts'
import { type Files, realFiles } from '../../system/files.ts'
import { StoreError } from './contract.ts'
import { SyncedQueueStore } from './store.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-synced-'))
mkdirSync(join(directory, 'content'))
after(() => rmSync(directory, { recursive: true, force: true }))

test('what waits for the sync is not seen before it, and all who were gathered share the next', async () => {
  const store = SyncedQueueStore.open(directory, realFiles)
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

test('the file of a removed message goes, when its removal is committed', async () => {
  const store = SyncedQueueStore.open(directory, realFiles)
  const body = await store.newBody(1)
  await body.write(Buffer.from('x'))
  await body.seal()
  const taken = { ...message(1, 1), inFile: true }
  await store.commit([{ kind: 'add', message: taken, content: { head: '', body: undefined } }])
  assert.deepEqual(readdirSync(join(directory, 'content')), ['1'])
  await store.commit([{ kind: 'remove', id: 1 }])
  await store.close()
  assert.deepEqual(readdirSync(join(directory, 'content')), [])
})

test('a body that finds no room says so, in whatever way the file system does', async () => {
  for (const [code, kind] of Object.entries({ ENOSPC: 'full', EDQUOT: 'full', EIO: 'other' })) {
    const fails = (): Promise<never> => Promise.reject(Object.assign(new Error(code), { code }))
    const file = { write: fails, sync: fails, close: () => Promise.resolve() }
    const files: Files = { ...realFiles, create: () => Promise.resolve(file), remove: fails }
    const store = SyncedQueueStore.open(directory, files)
    const body = await store.newBody(3)
    for (const failing of [body.write(Buffer.from('x')), body.seal()])
      await assert.rejects(failing, (error: unknown) => error instanceof StoreError && error.kind === kind)
    await body.discard()
    await store.close()
  }
})
