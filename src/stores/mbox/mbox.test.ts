import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Outcome } from '../../base/outcome.ts'
import { type Clock, realClock } from '../../system/clock.ts'
import { tryLockExclusive } from '../../system/libc.ts'
import { type QuickFiles, quickFiles } from '../../system/quick-files.ts'
import { storedInMemory } from '../../system/spool.ts'
import { Mboxes, type MboxMachine } from './mbox.ts'

const head = Buffer.from('From s@x date\nReturn-Path: <s@x>\n')

class SystemError extends Error {
  readonly code = 'ENOSPC'
}

async function makePath(test: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-mbox-'))
  test.after(() => rm(directory, { recursive: true }))
  return join(directory, 'Mailbox')
}

function deliver(mboxes: Mboxes, path: string, text = 'From me\nhi'): Promise<Outcome<void>> {
  return mboxes.deliver({ shownPath: './Mailbox', path, head, content: storedInMemory([Buffer.from(text)]) })
}

function machine(changes: Partial<QuickFiles> = {}): Omit<MboxMachine, 'tryLock'> {
  return { files: { ...quickFiles, ...changes }, clock: realClock }
}

/** Time that only passes when somebody waits. */
function impatientClock(): Clock {
  let now = 0
  return {
    now: () => now,
    monotonic: () => now,
    after(milliseconds, callback) {
      now += milliseconds
      setImmediate(callback)
      return () => undefined
    },
  }
}

describe('mbox', () => {
  it('appends, quotes, completes, and syncs the file, and the directory of a new one', async (test) => {
    const path = await makePath(test)
    const synced: string[] = []
    const files = {
      async sync(fd: number): Promise<void> {
        synced.push(await readFile(path, 'latin1'))
        await quickFiles.sync(fd)
      },
      async syncDirectory(directory: string): Promise<void> {
        synced.push(directory)
        await quickFiles.syncDirectory(directory)
      },
    }
    const mboxes = new Mboxes(machine(files))
    assert.ok((await deliver(mboxes, path)).done)
    const once = `${head.toString()}>From me\nhi\n\n`
    assert.deepEqual(synced, [once, path.slice(0, -'Mailbox'.length)])
    assert.ok((await deliver(mboxes, path)).done)
    assert.deepEqual(synced.slice(2), [once + once])
  })

  it('keeps messages that come at once apart', async (test) => {
    const path = await makePath(test)
    const stores = [new Mboxes(machine()), new Mboxes(machine())]
    const text = 'line\n'.repeat(40_000)
    const all = Array.from({ length: 12 }, (_, n) => deliver(stores[n % 2] as Mboxes, path, text))
    assert.ok((await Promise.all(all)).every((outcome) => outcome.done))
    assert.equal(await readFile(path, 'latin1'), `${head.toString()}${text}\n`.repeat(12))
  })

  it('gives up after 30 seconds behind another lock', async (test) => {
    const path = await makePath(test)
    await writeFile(path, 'before')
    const holder = openSync(path, 'r')
    test.after(() => closeSync(holder))
    if (tryLockExclusive(holder) === 'unsupported') return test.skip('no flock here')
    const outcome = await deliver(new Mboxes({ files: quickFiles, clock: impatientClock() }), path)
    assert.ok(!outcome.done)
    assert.equal(outcome.failure.peerText, 'File has been locked for 30 seconds straight. (#4.3.0)')
    assert.equal(await readFile(path, 'latin1'), 'before')
  })

  it('cuts back to what was there when writing fails, but only under a lock', async (test) => {
    for (const [lock, left] of [
      ['locked', 'before'],
      ['unsupported', `before${head.toString()}>From me\nhi\n\n`],
    ] as const) {
      const path = await makePath(test)
      await writeFile(path, 'before')
      const files = { sync: (): Promise<void> => Promise.reject(new SystemError()) }
      const outcome = await deliver(new Mboxes({ ...machine(files), tryLock: () => lock }), path)
      assert.ok(!outcome.done)
      assert.equal(outcome.failure.peerText, 'Unable to write ./Mailbox: out of disk space. (#4.3.0)')
      assert.equal(await readFile(path, 'latin1'), left)
    }
  })

  it('says when the file cannot be opened', async (test) => {
    const path = join(await makePath(test), 'below')
    const outcome = await deliver(new Mboxes(machine()), path)
    assert.ok(!outcome.done)
    assert.equal(outcome.failure.peerText, 'Unable to open ./Mailbox: file does not exist. (#4.2.1)')
  })
})
