import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { homeAt } from './layout.ts'
import { HomeError } from './make.ts'
import { refuseQmailQueue } from './qmail-queue.ts'

describe('the home of a qmail', () => {
  it('is refused with the number of its messages and the way in', async (t) => {
    const home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-qmail-')))
    t.after(() => rmSync(home.path, { recursive: true, force: true }))
    await refuseQmailQueue(home)
    for (const split of ['0', '22']) mkdirSync(join(home.queue, 'mess', split), { recursive: true })
    await assert.rejects(refuseQmailQueue(home), /holds 0 messages /)
    for (const name of ['0/23', '22/45', '22/not-a-message']) writeFileSync(join(home.queue, 'mess', name), '')
    const remedy =
      /holds 2 messages that Quaver does not read[^]*\n.*quaver adopt \S+ --home \/var\/lib\/quaver[^]*\n.*mv \S+\/queue \S+\/queue\.qmail/
    await assert.rejects(refuseQmailQueue(home), (error) => error instanceof HomeError && remedy.test(error.message))
  })
})
