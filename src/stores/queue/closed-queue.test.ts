import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { noParams } from '../../contracts/envelope.ts'
import { realClock } from '../../system/clock.ts'
import { ClosedQueue, type MovingIn } from './closed-queue.ts'
import { StoreError } from './contract.ts'

const origin = { path: '/var/qmail/queue', identity: '1:2' }
const largeBytes = 100_000

function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-closed-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  mkdirSync(join(directory, 'content'))
  writeFileSync(join(directory, 'small'), 'small\n')
  writeFileSync(join(directory, 'large'), 'l'.repeat(largeBytes))
  return directory
}

function moving(queue: ClosedQueue, contentPath: string, bytes: number): MovingIn {
  const due = { local: queue.nowMs, remote: undefined }
  const message = {
    id: queue.nextId(),
    bornMs: 1,
    sender: '',
    uid: 0,
    bytes,
    inFile: false,
    params: noParams,
    held: false,
    due,
  }
  return { message: { ...message, recipients: [] }, contentPath }
}

describe('a queue on which nobody runs', () => {
  it('takes all messages that move in, or none', async (t) => {
    const directory = directoryFor(t)
    const queue = await ClosedQueue.open(directory, realClock)
    const both = [moving(queue, join(directory, 'small'), 6), moving(queue, join(directory, 'large'), largeBytes)]
    const third = moving(queue, join(directory, 'gone'), 3)
    await assert.rejects(
      queue.takeIn(origin, [...both, third], 0, () => undefined),
      /ENOENT/,
    )
    assert.deepEqual(await Array.fromAsync(queue.messages()), [])
    assert.deepEqual(readdirSync(join(directory, 'content')), [])
    const shorter = [...both, moving(queue, join(directory, 'small'), 60)]
    await assert.rejects(
      queue.takeIn(origin, shorter, 0, () => undefined),
      /became shorter while it was read/,
    )
    assert.deepEqual(await Array.fromAsync(queue.messages()), [])
    await queue.takeIn(origin, both, 77, () => undefined)
    const messages = await Array.fromAsync(queue.messages())
    const contents = await Promise.all(messages.map((message) => Array.fromAsync(queue.content(message))))
    assert.deepEqual(
      contents.map((portions) => Buffer.concat(portions).length),
      [6, largeBytes],
    )
    await queue.close()
  })

  it('knows where messages came from before, unless they never came', async (t) => {
    const directory = directoryFor(t)
    let queue = await ClosedQueue.open(directory, realClock)
    await assert.rejects(queue.takeIn(origin, [moving(queue, '/nonexistent', 1)], 1, () => undefined))
    assert.equal(queue.arrivalOf(origin), undefined)
    await queue.takeIn(origin, [moving(queue, join(directory, 'small'), 6)], 77, () => undefined)
    await queue.close()
    // The line is written before the commit: without the commit it does not count.
    const later = { ...origin, path: '/other', identity: '3:4', seenMs: Date.now() + 1e9, atMs: 5, messages: 1 }
    writeFileSync(join(directory, 'adopted'), `${JSON.stringify(later)}\n`, { flag: 'a' })
    queue = await ClosedQueue.open(directory, realClock)
    assert.equal(queue.arrivalOf({ path: '/moved', identity: '1:2' })?.getTime(), 77)
    assert.equal(queue.arrivalOf({ path: origin.path, identity: '9:9' })?.getTime(), 77)
    assert.equal(queue.arrivalOf({ path: '/other', identity: '3:4' }), undefined)
    await queue.remove(await Array.fromAsync(queue.messages()))
    assert.deepEqual(await Array.fromAsync(queue.messages()), [])
    await queue.close()
  })

  it('is opened by one at a time', async (t) => {
    const directory = directoryFor(t)
    const queue = await ClosedQueue.open(directory, realClock)
    const isBusy = (error: unknown): boolean => error instanceof StoreError && error.kind === 'busy'
    await assert.rejects(ClosedQueue.open(directory, realClock), isBusy)
    await queue.close()
  })
})
