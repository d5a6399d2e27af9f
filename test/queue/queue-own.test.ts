/** What a user of the machine sees of the queue: their own mail, by what the kernel says they are. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { AdminError, askAll } from '../../src/clients/admin/ask.ts'
import { fieldsOf, textField } from '../../src/clients/admin/row.ts'
import { EnqueueClient } from '../../src/clients/queue/enqueue.ts'
import { handOn } from '../../src/clients/queue/enqueuer.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import { socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { connectPath } from '../../src/system/frame-connection.ts'
import { qread } from '../../src/programs/qmail/qread.ts'
import { callProgram } from '../kit/qmail-call.ts'
import { QueueProcess } from '../kit/queue-process.ts'
import { withoutRoot } from '../kit/tool.ts'

describe('queue-own', { skip: withoutRoot() }, () => {
  const queue = new QueueProcess({ me: 'me.example\n' })
  before(async () => {
    // smtpd's, in a system home.
    chownSync(socketPath(queue.home, 'queue-network'), 4714, 0)
    await queue.start()
    for (const path of [queue.home.path, queue.home.run]) chmodSync(path, 0o755)
    for (const name of ['queue-inject', 'queue-own'] as const) chmodSync(socketPath(queue.home, name), 0o666)
  })
  after(() => queue.dispose())

  /** Connections are made within the call. */
  function as<T>(uid: number, begin: () => Promise<T>): Promise<T> {
    process.seteuid?.(uid)
    try {
      return begin()
    } finally {
      process.seteuid?.(0)
    }
  }

  async function send(uid: number, sender: string): Promise<void> {
    const connect = (): Promise<Socket> => as(uid, () => connectPath(socketPath(queue.home, 'queue-inject')))
    const client = new EnqueueClient(connect, realClock)
    const outcome = await handOn(client.open({ sender, recipients: ['r@x.example'] }, noParams), '', [
      Buffer.from('x\n'),
    ])
    client.close()
    assert.ok(outcome.done)
  }

  const ask = (uid: number, request: object): Promise<unknown[]> =>
    as(uid, () => askAll(socketPath(queue.home, 'queue-own'), request, realClock))

  it('shows everybody their own mail, and root all', async () => {
    for (let n = 0; n < 12; n++) await send(4711, `me${n}@x`)
    await send(4712, 'other@x')
    const senders = async (uid: number): Promise<unknown[]> => {
      const rows = await ask(uid, { op: 'list', limit: 100 })
      return rows.map((row) => textField(fieldsOf(row), 'sender'))
    }
    assert.deepEqual(
      await senders(4711),
      Array.from({ length: 12 }, (_, n) => `me${n}@x`),
    )
    assert.deepEqual(await senders(4712), ['other@x'])
    assert.deepEqual(await senders(4713), [])
    assert.equal((await senders(0)).length, 13)
    // The last page is short by what others have.
    assert.equal((await ask(4711, { op: 'list', limit: 10 })).length, 10)
  })

  it('shows nothing to the account that reads the network', async () => {
    await assert.rejects(ask(4714, { op: 'list', limit: 1 }), (error) => error instanceof AdminError)
  })

  it('answers nothing else, to root either', async () => {
    for (const uid of [4711, 0])
      for (const op of ['show', 'delete', 'retry', 'counts'])
        await assert.rejects(
          ask(uid, { op, id: 1, all: true }),
          (error) => error instanceof AdminError && error.kind === 'refused',
        )
  })

  it('is what qmail-qread prints', async () => {
    const end = await callProgram(qread, { name: 'qmail-qread', home: queue.home.path })
    assert.equal(end.code, 0)
    assert.match(
      end.stdout,
      /^(\d+ \w{3} \d{4} [\d:]{8} GMT {2}#\d+ {2}\d+ {2}<\w+@x> \n\tremote\tr@x\.example\n){13}$/,
    )
    const down = await callProgram(qread, { name: 'qmail-qread', home: '/no/home' })
    assert.deepEqual([down.code, down.stderr], [111, 'qmail-qread: fatal: the queue does not run\n'])
  })
})
