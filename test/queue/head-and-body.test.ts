/** A message in two parts, through the real queue process, its row, its file and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attempt } from '../../src/contracts/deliver.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import { until } from '../kit/instance.ts'
import { queueFor } from '../kit/queue-process.ts'

const body = Buffer.from('Subject: x\n\nhi\n')

test('a head that comes last stands on top, for whoever reads the message', async (t) => {
  const queue = await queueFor(t)
  const head = 'X-First: \xff\nX-Second: 2\n'
  const envelope = { sender: 's@me.example', recipients: ['r@x.example'] }
  const seen: Attempt[] = []
  const remote = await queue.remote((attempt) => {
    seen.push(attempt)
    return [{ letter: 'Z', text: 'not now\n' }]
  })
  const whole = await queue.submit(envelope, noParams, body, head)
  const streamed = await queue.stream(envelope, noParams, body, head)
  assert.ok(whole.done && streamed.done)
  await drainedAttempts(2)
  await queue.kill('SIGKILL')
  remote.destroy('')
  const expected = (id: number): RegExp =>
    new RegExp(`^Received: \\(qmail ${id} invoked from network\\); [^\\n]+\\n${head}Subject: x\\n\\nhi\\n$`)
  for (const [at, { value: id }] of [whole, streamed].entries()) {
    const { messageId, content, contentBytes } = seen[at] as Attempt
    assert.equal(messageId, id)
    assert.match(String(content?.toString('latin1')), expected(id))
    assert.equal(content?.length, contentBytes)
  }
  // What is read now comes from the disk.
  await queue.start()
  for (const { value: id } of [whole, streamed]) {
    const [row] = await queue.ask({ op: 'show', id })
    assert.match(Buffer.from(String(row?.['content']), 'base64').toString('latin1'), expected(id))
    assert.equal(row?.['bytes'], seen[0]?.contentBytes)
  }
  await queue.remote((attempt) => {
    seen.push(attempt)
    return [{ letter: 'D', text: 'no\n' }]
  })
  await queue.ask({ op: 'retry', all: true })
  await drainedAttempts(4)
  for (const { messageId, content } of seen.slice(2, 4))
    assert.match(String(content?.toString('latin1')), expected(messageId))

  async function drainedAttempts(count: number): Promise<void> {
    await until(`${count} attempts`, 20_000, () => Promise.resolve(seen.length >= count || undefined))
  }
})
