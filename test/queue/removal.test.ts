/** What is left of a message that is gone, and of one that is held. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Attempt } from '../../src/contracts/deliver.ts'
import { encodeFromDeliverer } from '../../src/contracts/deliver.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import type { FrameConnection } from '../../src/system/frame-connection.ts'
import { QueueProcess } from '../kit/queue-process.ts'
import { type Report, statusOf } from '#test/kit/status.ts'

const ok: Report = { letter: 'K', text: 'did 1+0+0\n' }
const body = Buffer.from('Subject: x\n\nhi\n')

describe('removal', () => {
  const queue = new QueueProcess({ me: 'me.example\n' })
  let remote: FrameConnection
  let ref = 0
  const connectRemote = async (): Promise<void> => {
    remote = await queue.remote((attempt) => {
      ref = attempt.ref
      return undefined
    })
  }
  before(async () => {
    await queue.start()
    await queue.local(() => ok)
    await connectRemote()
  })
  after(() => queue.dispose())

  async function submit(): Promise<number> {
    queue.log = ''
    const outcome = await queue.submit({ sender: 's@me.example', recipients: ['r@x.example'] }, noParams, body)
    assert.ok(outcome.done)
    await queue.logged(/starting delivery/)
    return outcome.value
  }

  it('what came as a stream leaves no file behind, however small it is', async () => {
    const envelope = { sender: 's@me.example', recipients: ['joe@me.example'] }
    assert.ok((await queue.stream(envelope, noParams, body)).done)
    await queue.logged(/end msg/)
    const directory = join(queue.home.queue, 'content')
    for (let n = 0; n < 100 && readdirSync(directory).length > 0; n++)
      await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual(readdirSync(directory), [])
  })

  it('content is fetched with the token of its attempt only', async () => {
    const answers: string[] = []
    const attempts: Attempt[] = []
    const fetching = await queue.connect('queue-remote', 'fetch', 0, (message) => {
      if (message.kind === 'contentEnd' || message.kind === 'contentFailed') answers.push(message.kind)
    })
    const holder = await queue.remote((attempt) => {
      attempts.push(attempt)
      return undefined
    })
    remote.destroy('')
    queue.log = ''
    const large = Buffer.alloc(100_000, 'line\n')
    const outcome = await queue.submit({ sender: 's@me.example', recipients: ['r@x.example'] }, noParams, large)
    assert.ok(outcome.done)
    await queue.logged(/starting delivery/)
    for (let n = 0; n < 500 && attempts.length === 0; n++) await new Promise((resolve) => setTimeout(resolve, 10))
    const [{ messageId, token, ref: attemptRef } = { messageId: 0, token: '', ref: 0 }] = attempts
    for (const [n, tried] of ['x'.repeat(16), '', token].entries()) {
      fetching.send(encodeFromDeliverer({ kind: 'fetch', ref: n, messageId, token: tried }))
      for (let m = 0; m < 500 && answers.length <= n; m++) await new Promise((resolve) => setTimeout(resolve, 10))
    }
    assert.deepEqual(answers, ['contentFailed', 'contentFailed', 'contentEnd'])
    holder.send(encodeFromDeliverer({ kind: 'report', ref: attemptRef, statuses: [statusOf(ok)] }))
    await queue.logged(/end msg/)
    holder.destroy('')
    await connectRemote()
  })

  it('a message deleted while it is delivered is not bounced', async () => {
    const id = await submit()
    assert.deepEqual(await queue.ask({ op: 'delete', id }), [{ deleted: id, pending: true }])
    remote.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf({ letter: 'D', text: 'no\n' })] }))
    await queue.logged(/end msg/)
    assert.doesNotMatch(queue.log, /bounce msg/)
    assert.deepEqual(await queue.ask({ op: 'list' }), [])
  })

  it('a message that is to be tried while it is delivered is tried again at once if that is deferred', async () => {
    const id = await submit()
    assert.deepEqual(await queue.ask({ op: 'retry', id }), [{ retried: id, pending: true }])
    const first = ref
    remote.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf({ letter: 'Z', text: 'later\n' })] }))
    await queue.logged(new RegExp(`: deferral: later[^]*starting delivery \\d+: msg ${id} `))
    assert.notEqual(ref, first)
    // Once.
    remote.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf({ letter: 'Z', text: 'later\n' })] }))
    await queue.logged(/: deferral: later[^]*: deferral: later[^]*remote 0\//)
    assert.deepEqual(await queue.ask({ op: 'delete', id }), [{ deleted: id, pending: false }])
  })

  it('a message that is held is not attempted until it is released', async () => {
    const id = await submit()
    assert.deepEqual(await queue.ask({ op: 'hold', id }), [{ held: id, pending: true }])
    // The attempt is lost before it reported: of another message the next one would begin at once.
    remote.destroy('')
    await connectRemote()
    await queue.logged(/delivery \d+: deferral: message_held/)
    for (const op of ['list', 'show']) assert.equal((await queue.ask({ op, id }))[0]?.['held'], true)
    await queue.ask({ op: 'retry', id })
    await queue.ask({ op: 'retry', all: true })
    await queue.kill('SIGKILL')
    await queue.start()
    await connectRemote()
    await queue.ask({ op: 'retry', id })
    queue.log = ''
    // One that is not held is begun, so the held one would have been.
    const other = await submit()
    assert.doesNotMatch(queue.log, new RegExp(`delivery \\d+: msg ${id} `))
    remote.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf(ok)] }))
    await queue.logged(new RegExp(`end msg ${other}`))
    assert.deepEqual(await queue.ask({ op: 'release', id }), [{ released: id }])
    await queue.logged(new RegExp(`delivery \\d+: msg ${id} `))
    remote.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf(ok)] }))
    await queue.logged(new RegExp(`end msg ${id}`))
  })

  it('a message deleted while it is delivered stays deleted when the queue is killed before that ends', async () => {
    const id = await submit()
    assert.deepEqual(await queue.ask({ op: 'delete', id }), [{ deleted: id, pending: true }])
    await queue.kill('SIGKILL')
    await queue.start()
    assert.deepEqual(await queue.ask({ op: 'list' }), [])
  })
})
