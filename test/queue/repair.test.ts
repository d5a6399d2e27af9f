/** What is wrong with a queue is found while it runs and while it does not, and is mended without taking a message away. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { homeAt } from '../../src/stores/home/layout.ts'
import { makeHome } from '../../src/stores/home/make.ts'
import { SyncedQueueStore } from '../../src/stores/queue/store.ts'
import { realFiles } from '../../src/system/files.ts'
import { Instance } from '../kit/instance.ts'
import { head, message } from '../kit/queued-message.ts'

const messages = 120
const pageBytes = 4096

interface Diagnosis {
  readonly mended: readonly string[]
  readonly findings: readonly { readonly check: string; readonly level: string; readonly text: string }[]
}

describe('a queue in which something is wrong', () => {
  let quaver: Instance
  before(async () => {
    quaver = await Instance.start({
      relayDomains: ['elsewhere.test'],
      // Nobody listens there.
      files: { 'control/smtproutes': ':127.0.0.1:1\n' },
      async prepare(home) {
        await makeHome(home, undefined)
        const { queue } = homeAt(home)
        const store = SyncedQueueStore.open(queue, realFiles)
        const later = Date.now() + 3_600_000
        for (let id = 1; id <= messages; id++) {
          const text = 'y'.repeat(6000)
          const young = { ...message(id, later, head + text), bornMs: Date.now() }
          await store.commit([{ kind: 'add', message: young, content: { head, body: Buffer.from(text) } }])
        }
        await store.close()
        inDatabase(queue, [
          'UPDATE message SET due_remote = NULL WHERE id = 5',
          // Its end was not noted.
          'UPDATE message SET due_remote = NULL WHERE id = 6',
          'UPDATE recipient SET state = 1 WHERE message = 6',
          'DELETE FROM content WHERE id = 7',
        ])
      },
    })
  })
  after(() => quaver.end())

  function inDatabase(queue: string, statements: readonly string[]): void {
    const database = new DatabaseSync(join(queue, 'queue.db'))
    for (const one of statements) database.exec(one)
    database.close()
  }

  async function doctor(...options: readonly string[]): Promise<{ mended: readonly string[]; queue: string[] }> {
    const { stdout, stderr } = await quaver.quaver('doctor', '--offline', '--json', ...options)
    assert.equal(stderr, '')
    const { mended, findings } = JSON.parse(stdout) as Diagnosis
    const queue = findings.filter(({ check }) => check === 'queue').map(({ level, text }) => `${level} ${text}`)
    return { mended, queue }
  }

  /** Of a body, at the middle of the file. */
  function damage(): void {
    const path = join(quaver.home, 'queue/queue.db')
    const fd = openSync(path, 'r+')
    const page = Math.floor(statSync(path).size / pageBytes / 2)
    writeSync(fd, Buffer.alloc(2 * pageBytes, 0xa5), 0, 2 * pageBytes, page * pageBytes)
    closeSync(fd)
  }

  const asides = (): string[] =>
    readdirSync(join(quaver.home, 'queue')).filter((name) => /^queue\.db\.damaged-\d+$/.test(name))

  it('has messages found that nothing would be done about, and bodies that are away', async () => {
    const { queue } = await doctor()
    assert.deepEqual(queue.sort(), [
      'error message 5 is due at no time, and has not ended',
      'error message 6 is due at no time, and has not ended',
      'error message 7 has no body, and cannot be delivered',
    ])
    assert.ok(!readdirSync(join(quaver.home, 'queue')).includes('snapshot'), 'no copy stays')
  })

  it('has those done that can be, and nothing deleted', async () => {
    const { mended, queue } = await doctor('--fix')
    assert.equal(mended.length, 2)
    assert.deepEqual(queue, ['error message 7 has no body, and cannot be delivered'])
    const why = await quaver.quaver('queue', 'why', '5')
    assert.match(why.stdout, /was tried|is being delivered|waits/)
    assert.match(await quaver.logged(/end msg 6/), /end msg 6/)
    assert.equal((await quaver.quaver('queue', 'delete', '7')).code, 0)
    assert.deepEqual((await doctor()).queue, [])
  })

  it('is made anew of what can be read, while it runs', async () => {
    await quaver.stop()
    damage()
    await quaver.restart()
    const found = (await doctor()).queue
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', /^error .*queue\.db is damaged: /)
    const { mended, queue } = await doctor('--fix')
    assert.match(mended[0] ?? '', /the log says how many messages were saved$/)
    assert.equal(queue.length, 1)
    assert.match(queue[0] ?? '', /^note .*queue\.db\.damaged-\d+ was set aside by a repair/)
    assert.match(await quaver.logged(/queue\.db was damaged: \d+ messages saved/), /: 1[01]\d messages saved/)
    assert.equal(asides().length, 1)
  })

  it('is made anew while nothing runs', async () => {
    await quaver.stop()
    damage()
    assert.match((await doctor()).queue.join('\n'), /^error .*queue\.db is damaged: /m)
    const { mended, queue } = await doctor('--fix')
    assert.match(mended.join('\n'), /: 1[01]\d messages saved, \d not; what was there is /)
    assert.ok(!queue.some((text) => text.startsWith('error')), queue.join('\n'))
    assert.equal(asides().length, 2)
    assert.equal(statSync(join(quaver.home, 'queue/queue.db')).mode & 0o777, 0o600)
  })
})
