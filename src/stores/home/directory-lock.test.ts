import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockDirectory } from './directory-lock.ts'

describe('the lock of a directory', () => {
  const path = mkdtempSync(join(tmpdir(), 'quaver-lock-'))
  after(() => rmSync(path, { recursive: true, force: true }))

  it('is had by one at a time; the others wait for their turn', async () => {
    let holders = 0
    const turns = Array.from({ length: 5 }, async () => {
      const unlock = await lockDirectory(path)
      holders += 1
      await sleep(20)
      assert.equal(holders, 1)
      holders -= 1
      await unlock()
    })
    await Promise.all(turns)
  })

  it('is given up by who waited long enough', async () => {
    const unlock = await lockDirectory(path)
    await assert.rejects(lockDirectory(path, 100), /another command is changing .*; try again when it is done/)
    await unlock()
    await (await lockDirectory(path, 0))()
  })
})
