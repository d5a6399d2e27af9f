/** The real queue process, with the test in the parts of smtpd, lspawn, local, remote and the command line. */
import assert from 'node:assert/strict'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Attempt } from '../../src/contracts/deliver.ts'
import { encodeFromDeliverer } from '../../src/contracts/deliver.ts'
import { encodeEnqueueRequest } from '../../src/contracts/enqueue.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import { until } from '../kit/instance.ts'
import { QueueProcess, queueFor } from '../kit/queue-process.ts'
import { type Report, statusOf } from '#test/kit/status.ts'

const ok: Report = { letter: 'K', text: 'did 1+0+0\n' }
const me = { me: 'me.example\n' }
const body = Buffer.from('Subject: x\n\nhi\n')

async function submit(queue: QueueProcess, sender: string, ...recipients: string[]): Promise<number> {
  const outcome = await queue.submit({ sender, recipients }, noParams, body)
  assert.ok(outcome.done, outcome.done ? '' : outcome.failure.logText)
  return outcome.value
}

/** Waits until so many messages are left. */
async function drainedTo(queue: QueueProcess, count: number): Promise<void> {
  const deadline = Date.now() + 15_000
  for (;;) {
    const left = (await queue.ask({ op: 'counts' }))[0]?.['messages']
    if (left === count) return
    assert.ok(Date.now() < deadline, `${String(left)} messages are left, not ${count}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The log without tags, with message ids as #1, #2 … in order of appearance. */
function normalised(queue: QueueProcess): string[] {
  const ids = new Map<string, string>()
  const lines = queue.log
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^queue: /, ''))
  return lines.map((line) =>
    line.replace(/\b[0-9]{12,}\b/g, (id) => {
      if (!ids.has(id)) ids.set(id, `#${ids.size + 1}`)
      return ids.get(id) ?? ''
    }),
  )
}

test('the log of one local message is that of qmail-send', async (t) => {
  const queue = await queueFor(t)
  let bytes = 0
  await queue.local((attempt) => {
    bytes = attempt.content?.length ?? 0
    return ok
  })
  await submit(queue, 'a b%@c.example', 'Joe@me.example')
  await queue.logged(/end msg/)
  assert.deepEqual(normalised(queue), [
    'status: local 0/100 remote 0/200',
    'new msg #1',
    `info msg #1: bytes ${bytes} from <a_b_@c.example> qp #1 uid ${process.getuid?.()}`,
    'starting delivery 1: msg #1 to local Joe@me.example',
    'status: local 1/100 remote 0/200',
    'delivery 1: success: did_1+0+0/',
    'status: local 0/100 remote 0/200',
    'end msg #1',
  ])
})

test('recipients of one domain share an attempt; with a VERP sender each has its own', async (t) => {
  const queue = await queueFor(t)
  const attempts: Attempt[] = []
  await queue.remote((attempt) => {
    attempts.push(attempt)
    return attempt.recipients.map(() => ok)
  })
  await submit(queue, 's@me.example', 'a@x.example', 'b@X.example', 'c@y.example')
  await queue.logged(/end msg/)
  assert.deepEqual(
    attempts.map(({ recipients }) => recipients),
    [['a@x.example', 'b@X.example'], ['c@y.example']],
  )
  attempts.length = 0
  await submit(queue, 'list-@me.example-@[]', 'a@x.example', 'b@x.example')
  await queue.logged(/end msg[^]*end msg/)
  assert.deepEqual(
    attempts.map(({ sender }) => sender),
    ['list-a=x.example@me.example', 'list-b=x.example@me.example'],
  )
})

test('a bounce waits for the last recipient, names every failure, and follows in one commit', async (t) => {
  const queue = await queueFor(t)
  let answerRemote: () => void = () => undefined
  await queue
    .remote((attempt) => {
      void attempt
      return undefined
    })
    .then((connection) => {
      answerRemote = () => {
        const reports: Report[] = [
          { letter: 'D', text: '192.0.2.1 does not like recipient.\nRemote host said: 550 no\n' },
        ]
        connection.send(encodeFromDeliverer({ kind: 'report', ref: 1, statuses: reports.map(statusOf) }))
      }
    })
  const bounces: string[] = []
  await queue.local((attempt) => {
    if (attempt.sender === '') bounces.push(attempt.content?.toString('latin1') ?? '')
    return attempt.recipients[0]?.startsWith('bad') === true ? { letter: 'D', text: 'Sorry. (#5.1.1)\n' } : ok
  })
  await submit(queue, 'joe@me.example', 'bad@me.example', 'r@x.example')
  await queue.logged(/delivery \d: failure: Sorry/)
  assert.doesNotMatch(queue.log, /bounce msg/)
  answerRemote()
  await queue.logged(/bounce msg [^]*end msg[^]*end msg/)
  assert.equal(bounces.length, 1)
  assert.match(bounces[0] ?? '', /<bad@me\.example>:\nSorry\. \(#5\.1\.1\)\n\n<r@x\.example>:\n192\.0\.2\.1 does/)
  assert.deepEqual(await queue.ask({ op: 'counts' }).then((rows) => rows[0]?.['messages']), 0)
})

test('a bounce that bounces goes to the postmaster, and a third is discarded', async (t) => {
  const queue = await queueFor(t)
  await queue.local(() => ({ letter: 'D', text: 'no\n' }))
  await submit(queue, 'joe@me.example', 'bad@me.example')
  await queue.logged(/triple bounce: discarding bounce\/\d+\n[^]*end msg/)
  assert.match(queue.log, /from <#@\[\]>/)
  assert.match(queue.log, /to local postmaster@me\.example/)
})

test('a deferral past queuelifetime is a failure that says so', async (t) => {
  const queue = await queueFor(t, { ...me, queuelifetime: '0\n' })
  await queue.remote((attempt) => attempt.recipients.map(() => ({ letter: 'Z', text: 'later\n' })))
  await queue.local(() => ok)
  await new Promise((resolve) => setTimeout(resolve, 5))
  await submit(queue, 'joe@me.example', 'r@x.example')
  const [first] = await queue.logged(/delivery 1: \w+: [^\n]*/)
  if (first.includes('deferral')) await queue.ask({ op: 'retry', all: true })
  await queue.logged(/failure: later\/I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long\.\//)
  await queue.logged(/bounce msg/)
})

test('what waits survives kill -9, keeps its due time, and is retried on request', async (t) => {
  const queue = await queueFor(t)
  await queue.remote((attempt) => attempt.recipients.map(() => ({ letter: 'Z', text: 'not now\n' })))
  const id = await submit(queue, 's@me.example', 'r@x.example')
  await queue.logged(/deferral/)
  const waiting = async (): Promise<unknown> => (await queue.ask({ op: 'show', id }))[0]?.['recipients']
  await queue.logged(/status: local 0\/100 remote 0\/200\n[^]*deferral[^]*remote 0\/200/)
  const before = await waiting()
  await queue.kill('SIGKILL')
  queue.log = ''
  await queue.start()
  assert.deepEqual(await waiting(), before)
  await queue.remote((attempt) => attempt.recipients.map(() => ok))
  assert.deepEqual(await queue.ask({ op: 'retry', id }), [{ retried: id, pending: false }])
  await queue.logged(/end msg/)
})

test('a submission under way when the queue dies is either answered or gone, and answered ones are there', async (t) => {
  const queue = await queueFor(t)
  const acknowledged: number[] = []
  const senders = Array.from({ length: 20 }, async () => {
    for (;;) {
      const outcome = await queue.submit({ sender: 's@me.example', recipients: ['r@x.example'] }, noParams, body)
      if (!outcome.done) return outcome.failure.class
      acknowledged.push(outcome.value)
    }
  })
  while (acknowledged.length <= 20) await new Promise((resolve) => setTimeout(resolve, 20))
  await queue.kill('SIGKILL')
  assert.deepEqual([...new Set(await Promise.all(senders))], [4])
  await queue.start()
  const rows = await queue.ask({ op: 'list', limit: 10_000 })
  const there = new Set(rows.map((row) => row['id']))
  assert.deepEqual(
    acknowledged.filter((id) => !there.has(id)),
    [],
  )
})

test('large content goes through a file, is fetched with its token, and the file goes with the message', async (t) => {
  const queue = await queueFor(t)
  const content = Buffer.alloc(3_000_000, 'line of text\n')
  const parts: Buffer[] = []
  let whole: Promise<void> = Promise.resolve()
  await queue.local((attempt, local) => {
    assert.equal(attempt.content, undefined)
    whole = new Promise((resolve) => {
      local.handOver({
        onFrame: (frame) => {
          // content frames: u32 ref, bytes
          if (frame.payload.length > 4) parts.push(Buffer.from(frame.payload.subarray(4)))
          else resolve()
        },
        onClose: () => undefined,
      })
      local.send(encodeFromDeliverer({ kind: 'fetch', ref: 9, messageId: attempt.messageId, token: attempt.token }))
    })
    void whole.then(() =>
      local.send(encodeFromDeliverer({ kind: 'report', ref: attempt.ref, statuses: [statusOf(ok)] })),
    )
    return undefined
  })
  const outcome = await queue.submit({ sender: 's@me.example', recipients: ['joe@me.example'] }, noParams, content)
  assert.ok(outcome.done)
  await queue.logged(/end msg/)
  const received = Buffer.concat(parts)
  const [, rest] = received.toString('latin1').split(/^Received: \(qmail \d+ invoked from network\); .* -0000\n/)
  assert.ok(rest === content.toString('latin1'), 'content as it was sent')
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.deepEqual(readdirSync(join(queue.home.queue, 'content')), [])
})

test('a stream that is cut off leaves nothing, and orphans of a crash are removed at start', async (t) => {
  const queue = await queueFor(t)
  const sink = queue.enqueue.open({ sender: 's@me.example', recipients: ['r@x.example'] }, noParams)
  await sink.write(Buffer.alloc(200_000))
  const directory = join(queue.home.queue, 'content')
  const files = (count: number): Promise<true> =>
    until(`${count} files`, 20_000, async () => readdirSync(directory).length === count || undefined)
  // Otherwise it may be the next queue that reads all this.
  await files(1)
  sink.abandon()
  await files(0)
  await queue.kill('SIGKILL')
  writeFileSync(join(directory, '12345'), 'orphan')
  writeFileSync(join(directory, 'foreign'), 'not ours')
  await queue.start()
  assert.deepEqual(readdirSync(directory), ['foreign'])
  await queue.logged(/warning: queue\/content\/foreign is not ours; left alone/)
})

test('a second queue on the same home refuses to start', async (t) => {
  const queue = await queueFor(t)
  const second = new QueueProcess(me, queue.home.queue)
  t.after(() => second.dispose())
  await assert.rejects(second.start(), /cannot start: qmail-send is already running/)
  await submit(queue, 's@me.example', 'r@x.example')
})

test('a crash of the deliverer is not a deferral at first; the work is resumed by the next one', async (t) => {
  const queue = await queueFor(t)
  const crashing = await queue.remote(() => undefined)
  await submit(queue, 's@me.example', 'r@x.example')
  await queue.logged(/starting delivery 1/)
  crashing.destroy('crash')
  await queue.remote((attempt) => attempt.recipients.map(() => ok))
  await queue.logged(/end msg/)
  assert.doesNotMatch(queue.log, /deferral/)
})

test('a domain that is slow holds up only itself, whatever waits for it', async (t) => {
  const queue = await queueFor(t, { ...me, concurrencyremote: '10\n', concurrencyhost: '2\n' })
  const held: Attempt[] = []
  let release = false
  let mostAtOnce = 0
  const connection = await queue.remote((attempt) => {
    if (attempt.recipients[0]?.endsWith('@slow.example') !== true || release) return attempt.recipients.map(() => ok)
    held.push(attempt)
    mostAtOnce = Math.max(mostAtOnce, held.length)
    return undefined
  })
  // More than may wait in memory for one domain.
  await Promise.all(Array.from({ length: 200 }, (_, n) => submit(queue, 's@me.example', `r${n}@slow.example`)))
  await Promise.all(Array.from({ length: 20 }, (_, n) => submit(queue, 's@me.example', `r${n}@other.example`)))
  await drainedTo(queue, 200)
  assert.equal(mostAtOnce, 2)
  release = true
  for (const { ref } of held) connection.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf(ok)] }))
  await drainedTo(queue, 0)
})

test('frames that break a contract close their connection and harm nobody else', async (t) => {
  const queue = await queueFor(t)
  const liar = await queue.remote(() => undefined)
  liar.send(encodeFromDeliverer({ kind: 'report', ref: 77, statuses: [statusOf(ok)] }))
  await queue.logged(/connection on queue-remote \(remote\) closed: report for unknown attempt 77/)
  await queue.connect('queue-remote', 'local', 0, () => undefined)
  await queue.logged(/connection on queue-remote closed: local on queue-remote/)
  const stranger = await queue.connect('queue-inject', 'enqueue', 0, () => undefined)
  stranger.send(encodeEnqueueRequest({ kind: 'chunk', ref: 3, bytes: Buffer.from('x') }))
  await queue.logged(/closed: chunk for unknown stream 3/)
  await queue.local(() => ok)
  await submit(queue, 's@me.example', 'joe@me.example')
  await queue.logged(/end msg/)
})

test('a damaged database is noticed in use, set aside, and what can be read goes on', async (t) => {
  const queue = await queueFor(t)
  const first = await submit(queue, 's@me.example', 'r@x.example')
  await queue.kill('SIGKILL')
  const path = join(queue.home.queue, 'queue.db')
  assert.ok(statSync(path).size > 0)
  writeFileSync(join(queue.home.queue, 'damaged'), 'test\n')
  await queue.start()
  assert.deepEqual(
    (await queue.ask({ op: 'list' })).map((row) => row['id']),
    [first],
  )
  await queue.kill('SIGKILL')
  writeFileSync(path, Buffer.alloc(8192, 'garbage '))
  queue.log = ''
  await queue.start()
  await queue.logged(/alert: queue\.db was damaged: 0 messages saved/)
  await submit(queue, 's@me.example', 'r@x.example')
})

test('HUP rereads locals and virtualdomains; half-written nonsense before it changes nothing', async (t) => {
  const queue = await queueFor(t, { ...me, locals: 'me.example\n' })
  await queue.local(() => ok)
  writeFileSync(join(queue.home.control, 'locals'), 'other.example\n')
  await submit(queue, 's@me.example', 'joe@me.example')
  await queue.logged(/to local joe@me\.example/)
  process.kill(queue.pid, 'SIGHUP')
  await new Promise((resolve) => setTimeout(resolve, 100))
  await submit(queue, 's@me.example', 'joe@other.example')
  await queue.logged(/to local joe@other\.example/)
})

test('an administrator sees, and deletes, what waits', async (t) => {
  const queue = await queueFor(t)
  const id = await submit(queue, 's@me.example', 'r@x.example')
  const [row] = await queue.ask({ op: 'show', id })
  assert.match(
    Buffer.from(String(row?.['content']), 'base64').toString('latin1'),
    /^Received: [^]*\nSubject: x\n\nhi\n$/,
  )
  await assert.rejects(queue.ask({ op: 'show', id: 5 }), /no message 5 in the queue/)
  await assert.rejects(queue.ask({ op: 'nonsense' }), /unknown operation/)
  await queue.ask({ op: 'delete', id })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await queue.remote((attempt) => attempt.recipients.map(() => ok))
  await queue.logged(/msg \d+ deleted by an administrator|end msg/)
  assert.deepEqual(await queue.ask({ op: 'list' }), [])
})
