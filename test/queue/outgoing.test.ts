/** What the queue takes for other hosts, and whose mail may hold how many of the slots, with the test as remote. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Attempt, encodeFromDeliverer } from '../../src/contracts/deliver.ts'
import { encodeEnqueueRequest } from '../../src/contracts/enqueue.ts'
import { noParams, relayedParam } from '../../src/contracts/envelope.ts'
import type { FrameConnection } from '../../src/system/frame-connection.ts'
import { type QueueProcess, queueFor } from '../kit/queue-process.ts'
import { type Report, statusOf } from '#test/kit/status.ts'

const ok: Report = { letter: 'K', text: 'did 1+0+0\n' }
const me = { me: 'me.example\n' }
const body = Buffer.from('Subject: x\n\nhi\n')

async function relay(queue: QueueProcess, relayer: string, sender: string, recipient: string): Promise<void> {
  const outcome = await queue.submit({ sender, recipients: [recipient] }, new Map([[relayedParam, relayer]]), body)
  assert.ok(outcome.done, outcome.done ? '' : outcome.failure.logText)
}

async function submit(queue: QueueProcess, sender: string, ...recipients: string[]): Promise<void> {
  const outcome = await queue.submit({ sender, recipients }, noParams, body)
  assert.ok(outcome.done, outcome.done ? '' : outcome.failure.logText)
}

/** Waits until so many messages are left. */
async function drainedTo(queue: QueueProcess, count: number): Promise<void> {
  const until = Date.now() + 15_000
  for (;;) {
    const left = (await queue.ask({ op: 'counts' }))[0]?.['messages']
    if (left === count) return
    assert.ok(Date.now() < until, `${String(left)} messages are left, not ${count}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('a sender whose hosts are slow leaves as many slots as it holds, whatever their domains', async (t) => {
  const queue = await queueFor(t, { ...me, concurrencyremote: '10\n', concurrencyhost: '3\n' })
  const held: Attempt[] = []
  let release = false
  const connection = await queue.remote((attempt) => {
    if (attempt.sender !== 'slow@me.example' || release) return attempt.recipients.map(() => ok)
    held.push(attempt)
    return undefined
  })
  // Some share a domain, so that each of the two limits hands over to the other.
  const domain = (n: number): string => (n % 3 === 0 ? 'shared.example' : `d${n}.example`)
  await Promise.all(Array.from({ length: 150 }, (_, n) => submit(queue, 'slow@me.example', `r@${domain(n)}`)))
  await submit(queue, 'Slow@me.example', ...Array.from({ length: 100 }, (_, n) => `r@many${n}.example`))
  await Promise.all(Array.from({ length: 20 }, (_, n) => submit(queue, `other${n}@me.example`, `r@fast${n}.example`)))
  await drainedTo(queue, 151)
  // Of the eight that one uid may hold.
  assert.equal(held.length, 4)
  release = true
  for (const { ref } of held) connection.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf(ok)] }))
  await drainedTo(queue, 0)
})

test('several senders whose hosts are slow leave a slot for the next', async (t) => {
  const queue = await queueFor(t, { ...me, concurrencyremote: '10\n' })
  const held: Attempt[] = []
  let release = false
  const connection = await queue.remote((attempt) => {
    if (!attempt.sender.startsWith('slow') || release) return attempt.recipients.map(() => ok)
    held.push(attempt)
    return undefined
  })
  for (const sender of ['slow1@me.example', 'slow2@me.example', 'slow3@me.example'])
    await submit(queue, sender, ...Array.from({ length: 50 }, (_, n) => `r@${sender.slice(0, 5)}-${n}.example`))
  await Promise.all(Array.from({ length: 20 }, (_, n) => submit(queue, `other${n % 2}@me.example`, `r@f${n}.example`)))
  await drainedTo(queue, 3)
  assert.ok(held.length < 10, `${held.length} held`)
  release = true
  for (const { ref } of held) connection.send(encodeFromDeliverer({ kind: 'report', ref, statuses: [statusOf(ok)] }))
  await drainedTo(queue, 0)
})

test('one uid that hands in by many senders leaves some to the next uid', async (t) => {
  const queue = await queueFor(t, { ...me, concurrencyremote: '10\n' })
  const held: Attempt[] = []
  const connection = await queue.remote((attempt) => {
    if (!attempt.sender.startsWith('slow')) return attempt.recipients.map(() => ok)
    held.push(attempt)
    return undefined
  })
  const handIn = async (uid: number, sender: string, count: number): Promise<void> => {
    const local = await queue.localOf(uid, () => ok)
    for (let ref = 0; ref < count; ref++) {
      const envelope = { sender: `${sender}${ref}@me.example`, recipients: [`r@${sender}${ref}.example`] }
      local.send(encodeEnqueueRequest({ kind: 'submit', ref, params: noParams, envelope, head: '', body: [body] }))
    }
    await queue.logged(new RegExp(`from <${sender}${count - 1}@me\\.example>`))
  }
  await handIn(1000, 'slow', 40)
  await handIn(1001, 'quick', 20)
  await drainedTo(queue, 40)
  assert.equal(held.length, 8)
  connection.destroy('')
})

test('one client that relays by many senders leaves some to the next client', async (t) => {
  const queue = await queueFor(t, { ...me, concurrencyremote: '10\n' })
  const held: Attempt[] = []
  const connection = await queue.remote((attempt) => {
    if (!attempt.sender.startsWith('slow')) return attempt.recipients.map(() => ok)
    held.push(attempt)
    return undefined
  })
  for (let n = 0; n < 40; n++) await relay(queue, '1000', `slow${n}@me.example`, `r@slow${n}.example`)
  for (let n = 0; n < 20; n++) await relay(queue, '192.0.2.7', `quick${n}@me.example`, `r@quick${n}.example`)
  await drainedTo(queue, 40)
  assert.equal(held.length, 8)
  connection.destroy('')
})

test('an attempt that is given back because its host is crowded takes no slot, costs nothing, and comes again', async (t) => {
  const queue = await queueFor(t, { ...me, concurrencyremote: '4\n' })
  const attempts: Attempt[] = []
  const connection: FrameConnection = await queue.remote((attempt) => {
    attempts.push(attempt)
    const crowded = attempt.recipients[0]?.endsWith('@crowded.example') === true
    if (!crowded || attempts.filter(({ messageId }) => messageId === attempt.messageId).length > 2)
      return attempt.recipients.map(() => ok)
    connection.send(encodeFromDeliverer({ kind: 'crowded', ref: attempt.ref }))
    return undefined
  })
  await Promise.all(['a', 'b'].map((name) => submit(queue, 's@me.example', `${name}@crowded.example`)))
  await Promise.all(Array.from({ length: 8 }, (_, n) => submit(queue, `s${n}@me.example`, `r@other.example`)))
  await drainedTo(queue, 0)
  assert.equal(attempts.length, 2 * 3 + 8)
  assert.equal(queue.log.match(/starting delivery/g)?.length, 10)
  assert.doesNotMatch(queue.log, /deferral/)
})

test('a sender without a domain that a host could have is refused; a recipient of that kind fails by itself', async (t) => {
  const queue = await queueFor(t)
  const asked: string[] = []
  await queue.remote(({ recipients }) => {
    asked.push(...recipients)
    return recipients.map(() => ok)
  })
  const bad = 'a@"x.example> SIZE=1"'
  for (const sender of [bad, `${bad}-@[]`]) {
    const whole = await queue.submit({ sender, recipients: ['r@x.example'] }, noParams, body)
    assert.ok(!whole.done)
    assert.equal(whole.failure.peerText, 'sorry, what is behind the @ of the sender is no domain (#5.1.7)')
    const streamed = await queue.stream({ sender, recipients: ['r@x.example'] }, noParams, body)
    assert.equal(streamed.done, false)
  }
  await submit(queue, 'list-@x.example-@[]', 'r@x.example')
  await submit(queue, 's@me.example', bad, 'r2@x.example')
  await drainedTo(queue, 0)
  assert.deepEqual(asked.toSorted(), [bad, 'r2@x.example', 'r@x.example'])
})
