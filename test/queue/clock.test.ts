/** Deferred mail while the machine's clock is set, in the run and between two runs. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { noParams } from '../../src/contracts/envelope.ts'
import { QueueProcess } from '../kit/queue-process.ts'

const day = 86_400_000

describe('a clock that is set', () => {
  const queue = new QueueProcess({ me: 'me.example\n' })
  const file = join(queue.home.path, 'shift')
  let shift = 0
  let id = 0

  const set = (milliseconds: number): void => {
    shift = milliseconds
    writeFileSync(file, String(milliseconds))
  }
  const start = async (): Promise<void> => {
    await queue.start({
      NODE_OPTIONS: `--import=${import.meta.resolve('#test/kit/shifted-clock.ts')}`,
      SHIFTED_CLOCK: file,
    })
    await queue.remote((attempt) => attempt.recipients.map(() => ({ letter: 'Z', text: 'not now\n' })))
    await queue.local(() => ({ letter: 'K', text: '' }))
  }
  /** Has it tried, and says how old it is and in how long it is tried again, by its own clock. */
  const times = async (): Promise<{ age: number; wait: number }> => {
    queue.log = ''
    assert.deepEqual(await queue.ask({ op: 'retry', all: true }), [{ retried: 'all', recipients: 1 }])
    await queue.logged(/deferral: not_now[^]*status: local 0\/100 remote 0\/200/)
    for (;;) {
      const [row] = await queue.ask({ op: 'show', id })
      const [recipient] = (row?.['recipients'] ?? []) as { nextMs: number }[]
      const nowMs = Date.now() + shift
      const wait = (recipient?.nextMs ?? 0) - nowMs
      // The mark is there, the next due time a moment later.
      if (wait > 0) return { age: nowMs - Number(row?.['bornMs']), wait }
    }
  }
  const isAsItShouldBe = async (): Promise<void> => {
    const { age, wait } = await times()
    assert.ok(age >= 0 && age < 300_000, `${age} ms old`)
    assert.ok(wait <= 1_000_000, `waits for ${wait} ms`)
    assert.doesNotMatch(queue.log, /bounce msg/)
  }

  before(async () => {
    set(0)
    await start()
    const outcome = await queue.submit(
      { sender: 's@me.example', recipients: ['r@x.example'] },
      noParams,
      Buffer.from('Subject: x\n\nhi\n'),
    )
    assert.ok(outcome.done)
    id = outcome.value
    await queue.logged(/deferral/)
  })
  after(() => queue.dispose())

  for (const days of [-365, 365, 0, 400, 0]) {
    it(`in the run: ${days} days off`, async () => {
      set(days * day)
      await isAsItShouldBe()
    })
  }

  for (const days of [-365, 365, 0]) {
    it(`between two runs: ${days} days off`, async () => {
      await queue.kill('SIGKILL')
      set(days * day)
      await start()
      const { age, wait } = await times()
      assert.ok(age >= 0 && age < 2 * 3_600_000, `${age} ms old`)
      assert.ok(wait <= 10 * 3_600_000, `waits for ${wait} ms`)
      assert.doesNotMatch(queue.log, /bounce msg/)
    })
  }

  it('a birth or due time in the database that cannot be is brought back', async () => {
    await queue.kill('SIGKILL')
    const database = new DatabaseSync(join(queue.home.queue, 'queue.db'))
    database.exec(`UPDATE message SET born = born + ${400 * day}, due_remote = due_remote + ${400 * day}`)
    database.close()
    await start()
    const [row] = await queue.ask({ op: 'show', id })
    const [recipient] = (row?.['recipients'] ?? []) as { nextMs: number }[]
    assert.ok(Number(row?.['bornMs']) <= Date.now())
    assert.ok((recipient?.nextMs ?? 0) < Date.now() + 10 * 3_600_000)
  })
})
