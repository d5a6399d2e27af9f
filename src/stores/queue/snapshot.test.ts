import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { realFiles } from '../../system/files.ts'
import type { QueuedMessage } from './contract.ts'
import { makeSnapshot, snapshotDirectory } from './snapshot.ts'
import { SyncedQueueStore } from './store.ts'

describe('a copy of the queue', () => {
  let directory: string
  let store: SyncedQueueStore
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-snapshot-'))
    mkdirSync(join(directory, 'content'))
    store = SyncedQueueStore.open(directory, realFiles)
  })
  afterEach(async () => {
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  })

  async function add(inFile: boolean, text: string): Promise<number> {
    const id = store.newId(Date.now())
    const body = Buffer.from(text)
    if (inFile) {
      const file = await store.newBody(id)
      await file.write([body])
      await file.seal(body.length)
    }
    const message: QueuedMessage = {
      ...{ id, bornMs: 1, sender: 'a@here.test', uid: 0, bytes: body.length, inFile, params: new Map(), held: false },
      due: { local: 1, remote: undefined },
      recipients: [
        {
          ...{ channel: 'local', address: 'x@here.test', original: 'x@here.test', prependBytes: 0, params: new Map() },
          ...{ state: 'waiting', last: undefined, lastMs: 0 },
        },
      ],
    }
    await store.commit([{ kind: 'add', message, content: { head: '', body: inFile ? undefined : body } }])
    return id
  }

  async function textsIn(path: string): Promise<string[]> {
    const copy = SyncedQueueStore.open(path, realFiles)
    try {
      const found: string[] = []
      for (const { id } of await copy.list(0, 10_000)) {
        const pieces: Buffer[] = []
        for await (const piece of copy.content(id)) pieces.push(piece)
        found.push(Buffer.concat(pieces).toString())
      }
      return found
    } finally {
      await copy.close()
    }
  }

  it('has every message that is in it whole, while messages come and go', async () => {
    const ids: number[] = []
    for (let count = 0; count < 40; count++) ids.push(await add(count % 2 === 0, `old ${count}`))
    // Rows enough for many steps.
    for (let count = 0; count < 20; count++) await add(false, 'x'.repeat(60_000))
    let steps = 0
    const taking = store.takeSnapshot(() => steps++)
    const going = (async () => {
      for (const [count, id] of ids.entries()) {
        await store.commit([{ kind: 'remove', id }])
        await add(count % 2 === 1, `new ${count}`)
      }
    })()
    const { messages } = await taking
    await going
    assert.ok(steps > 1)
    const found = await textsIn(snapshotDirectory(directory))
    assert.equal(found.length, messages)
    assert.ok(found.every((text) => /^(?:(?:old|new) \d+|x{60000})$/.test(text)))
    await store.filesRemoved()
    assert.equal(readdirSync(join(directory, 'content')).length, 20, 'what waited for the copy is removed after it')
  })

  it('is one at a time, and takes the place of the last one', async () => {
    await add(true, 'one')
    const first = store.takeSnapshot(() => undefined)
    await assert.rejects(
      store.takeSnapshot(() => undefined),
      /already/,
    )
    await first
    await add(true, 'two')
    assert.equal((await store.takeSnapshot(() => undefined)).messages, 2)
    assert.deepEqual((await textsIn(snapshotDirectory(directory))).sort(), ['one', 'two'])
  })

  it('leaves nothing where it cannot be made', async () => {
    await assert.rejects(
      makeSnapshot(directory, () => Promise.reject(new Error('no space left on device'))),
      /no space/,
    )
    assert.ok(!existsSync(snapshotDirectory(directory)))
  })
})
