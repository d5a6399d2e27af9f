import assert from 'node:assert/strict'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { message } from '#test/kit/queued-message.ts'
import { type Files, realFiles } from '../../system/files.ts'
import { canPassDescriptors } from '../../system/descriptor-passing.ts'
import { type NewBody, StoreError } from './contract.ts'
import { SyncedQueueStore } from './store.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-synced-'))
mkdirSync(join(directory, 'content'))
const cannotGive = canPassDescriptors() ? false : 'needs leases, and the files of /proc'
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
  await body.write([Buffer.from('x')])
  await body.seal(1)
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
    for (const failing of [body.write([Buffer.from('x')]), body.seal(1)])
      await assert.rejects(failing, (error: unknown) => error instanceof StoreError && error.kind === kind)
    await body.discard()
    await store.close()
  }
})

test('a body that another process writes is sealed when nobody can change it any more', {
  skip: cannotGive,
}, async () => {
  const store = SyncedQueueStore.open(directory, realFiles)
  const seals = async (bytes: number, announced: number, holdsOn: boolean): Promise<string> => {
    const id = store.newId(Date.now())
    const body = await store.newBody(id)
    const [path, writer] = await given(body)
    writeSync(writer, Buffer.alloc(bytes, 'x'))
    if (!holdsOn) closeSync(writer)
    try {
      await body.seal(announced)
      const taken = { ...message(id, 1), inFile: true }
      await store.commit([{ kind: 'add', message: taken, content: { head: 'head\n', body: undefined } }])
      const file = await store.bodyFile(id)
      assert.equal(file?.head, 'head\n')
      const read = readFileSync(file.fd, 'utf8')
      file.close()
      await store.commit([{ kind: 'remove', id }])
      return `${read.length} bytes`
    } catch (error) {
      assert.ok(error instanceof StoreError && error.kind === 'other')
      if (holdsOn) closeSync(writer)
      await body.discard()
      assert.equal(existsSync(path), false)
      return error.message
    }
  }
  assert.equal(await seals(100_000, 100_000, false), '100000 bytes')
  assert.equal(await seals(0, 0, false), '0 bytes')
  assert.match(await seals(100_000, 100_001, false), /100000 bytes, 100001 were announced/)
  assert.match(await seals(10, 10, true), /somebody has the body open/)
  await store.close()
})

test('a body that could not be sent is written here', async () => {
  const store = SyncedQueueStore.open(directory, realFiles)
  const id = store.newId(Date.now())
  const body = await store.newBody(id)
  assert.equal(await body.give(() => false), false)
  await body.write([Buffer.from('a'), Buffer.from('b')])
  await body.seal(2)
  const taken = { ...message(id, 1), inFile: true }
  await store.commit([{ kind: 'add', message: taken, content: { head: '', body: undefined } }])
  assert.equal(Buffer.concat(await Array.fromAsync(store.content(id))).toString(), 'ab')
  await store.commit([{ kind: 'remove', id }])
  await assert.rejects(store.bodyFile(id), StoreError)
  await store.close()
})

/** Where it lies, and a descriptor as another process would have it. */
async function given(body: NewBody): Promise<[path: string, fd: number]> {
  let path = ''
  let fd = -1
  const isGiven = await body.give((own) => {
    path = readlinkSync(`/proc/self/fd/${own}`)
    fd = openSync(path, 'r+')
    return true
  })
  assert.ok(isGiven)
  return [path, fd]
}
