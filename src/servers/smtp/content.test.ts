import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeEnqueuer, ScriptedSession } from '#test/kit/smtpd.ts'
import { plainFailure } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { DataDecoder } from '../../protocols/smtp/data-decoder.ts'
import { Content } from './content.ts'
import { ContentBudget } from '../../clients/queue/content-budget.ts'

const start = 'MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\n\r\n'
const line = `${'x'.repeat(76)}\r\n`

function content(enqueuer: FakeEnqueuer, budget = new ContentBudget(1 << 20), databytes = 0): Content {
  const envelope = { sender: 'a@b', recipients: ['c@d'] }
  const message = { envelope, params: noParams, head: 'Received: x\n', databytes }
  return new Content(message, new DataDecoder(), enqueuer, budget)
}

async function feed(target: Content, text: string, chunkBytes: number): Promise<void> {
  for (let at = 0; at < text.length; at += chunkBytes) {
    target.push(Buffer.from(text.slice(at, at + chunkBytes)), 0)
    await target.pressure()
  }
}

test('whatever its length and in whatever pieces, it goes on as it came, below its head', async () => {
  for (const lines of [1, 840, 850, 900, 20_000]) {
    const enqueuer = new FakeEnqueuer()
    const budget = new ContentBudget(1 << 30)
    const target = content(enqueuer, budget)
    await feed(target, `\r\n${line.repeat(lines)}.\r\n`, 8192)
    const verdict = await target.finish()
    assert.deepEqual(verdict, { done: true, value: 4711 })
    const expected = `Received: x\n\n${line.replace('\r', '').repeat(lines)}`
    assert.equal(enqueuer.taken[0]?.content === expected, true, `${lines} lines`)
    assert.equal(budget.held, 0)
  }
})

test('what a session holds is bounded, whatever the size', async () => {
  const budget = new ContentBudget(1 << 30)
  const target = content(new FakeEnqueuer(), budget)
  let most = 0
  target.push(Buffer.from('\r\n'), 0)
  for (let n = 0; n < 300; n++) {
    target.push(Buffer.from(line.repeat(800)), 0)
    most = Math.max(most, budget.held)
    await target.pressure()
  }
  assert.ok(most <= 128 * 1024, `${most} bytes`)
})

test('above the budget of the process nothing is gathered', async () => {
  const enqueuer = new FakeEnqueuer()
  const budget = new ContentBudget(100)
  const target = content(enqueuer, budget)
  for (const part of [`\r\n${line}`, line, line]) {
    target.push(Buffer.from(part), 0)
    await target.pressure()
    assert.ok(budget.held <= 100, `${budget.held} bytes`)
  }
  target.push(Buffer.from('.\r\n'), 0)
  await target.finish()
  assert.equal(enqueuer.taken[0]?.content, `Received: x\n\n${line.replace('\r', '').repeat(3)}`)
})

test('refused while it is streamed: abandoned, and read to its end', async () => {
  const enqueuer = new FakeEnqueuer()
  const target = content(enqueuer, new ContentBudget(1 << 30), 200_000)
  await feed(target, `\r\n${line.repeat(4000)}.\r\n`, 10_000)
  assert.equal(target.ended, true)
  const verdict = await target.finish()
  assert.equal('code' in verdict && verdict.code, 552)
  assert.deepEqual([enqueuer.abandoned, enqueuer.taken.length], [1, 0])
})

test('dropped while it is being written: abandoned once', async () => {
  const enqueuer = new FakeEnqueuer()
  const target = content(enqueuer)
  target.push(Buffer.from(`\r\n${line.repeat(1000)}`), 0)
  const pressure = target.pressure()
  target.drop()
  await pressure
  assert.equal(enqueuer.abandoned, 1)
})

test('header bombs and long lines are 552 after the end, loops 554', async () => {
  const refused = async (text: string): Promise<string> => {
    const session = new ScriptedSession()
    for (let at = 0; at < text.length; at += 60_000) {
      session.session.receive(Buffer.from(text.slice(at, at + 60_000)))
      await session.settle()
    }
    assert.equal(session.enqueuer.taken.length, 0)
    return session.output.split('\r\n').at(-2) ?? ''
  }
  const header = start.slice(0, -2)
  assert.match(await refused(`${header}${'A: b\r\n'.repeat(2001)}\r\n.\r\n`), /^552 .*too large a header \(#5\.3\.4\)$/)
  assert.match(await refused(`${header}A: b\r\n${' c\r\n'.repeat(400_000)}\r\n.\r\n`), /^552 .*too large a header/)
  assert.match(
    await refused(`${header}${'Delivered: b\r\n'.repeat(100)}\r\n.\r\n`),
    /^554 too many hops, this message is looping \(#5\.4\.6\)$/,
  )
})

test('a line of the body may be as long as a message: base64 of an attachment comes in one', async () => {
  const session = new ScriptedSession()
  await session.send('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\nSubject: x\r\n\r\n')
  const long = 'y'.repeat(3_000_000)
  for (const part of [long.slice(0, 2_000_000), `${long.slice(2_000_000)}\r\n.\r\n`]) await session.send(part)
  assert.match(session.output, /\r\n250 ok \d+ qp 4711\r\n$/)
  assert.ok(session.enqueuer.taken[0]?.content.endsWith(`\n${long}\n`))
})

test('a permanent refusal stays one', async () => {
  const enqueuer = new FakeEnqueuer()
  enqueuer.failure = plainFailure(5, '3.0', 'no')
  const target = content(enqueuer)
  await feed(target, `\r\n.\r\n`, 100)
  assert.deepEqual(await target.finish(), { done: false, failure: enqueuer.failure })
})
