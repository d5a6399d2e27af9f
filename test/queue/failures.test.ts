/** What a message that fails costs, and what its sender gets: bounces large and small. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Attempt } from '../../src/contracts/deliver.ts'
import { encodeFromDeliverer } from '../../src/contracts/deliver.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import type { FrameConnection } from '../../src/system/frame-connection.ts'
import { QueueProcess } from '../kit/queue-process.ts'
import { type Report, statusOf } from '#test/kit/status.ts'

const memoryMegabytesMax = 400
/** A second is what we promise on a machine that does nothing else; the fault that this looks for takes 26. */
const answerMillisecondsMax = 5000
const body = Buffer.from('Subject: x\n\nhi\n')
const ok: Report = { letter: 'K', text: 'did 1+0+0\n' }

/** Recipients whose delivery fails say how, in bytes: `fails-9000-…`. */
function answerTo(recipient: string): Report {
  const bytes = /^fails-(\d+)-/.exec(recipient)?.[1]
  if (bytes === undefined) return ok
  return { letter: 'D', text: `Remote host said: ${'550 no\n'.repeat(Math.ceil(Number(bytes) / 7))}` }
}

describe('failed recipients', () => {
  const queue = new QueueProcess({ me: 'me.example\n' })
  /** What came to the local sender, by its Subject or its recipient. */
  const bounces: string[] = []
  const fetched = new Map<number, { attempt: Attempt; parts: Buffer[] }>()

  before(async () => {
    await queue.start()
    await queue.remote((attempt) => attempt.recipients.map(answerTo))
    await queue.localOf(1000, (attempt) => answerTo(attempt.recipients[0] ?? ''))
    const local: FrameConnection = await queue.localOf(
      2000,
      (attempt) => {
        if (attempt.content !== undefined) {
          bounces.push(attempt.content.toString('latin1'))
          return ok
        }
        fetched.set(attempt.ref, { attempt, parts: [] })
        local.send(
          encodeFromDeliverer({
            kind: 'fetch',
            ref: attempt.ref,
            messageId: attempt.messageId,
            token: attempt.token,
          }),
        )
        return undefined
      },
      (message) => {
        if (message.kind === 'content') fetched.get(message.ref)?.parts.push(Buffer.from(message.bytes))
        if (message.kind !== 'contentEnd') return
        bounces.push(Buffer.concat(fetched.get(message.ref)?.parts ?? []).toString('latin1'))
        local.send(encodeFromDeliverer({ kind: 'report', ref: message.ref, statuses: [statusOf(ok)] }))
      },
    )
    await queue.lspawn((recipient) => (recipient.startsWith('sender') ? 2000 : 1000))
  })
  after(() => queue.dispose())

  async function submit(content: Buffer, recipients: readonly string[]): Promise<number> {
    const outcome = await queue.submit({ sender: 'sender@me.example', recipients }, noParams, content)
    assert.ok(outcome.done, outcome.done ? '' : outcome.failure.logText)
    return outcome.value
  }

  async function nextBounce(milliseconds = 20_000): Promise<string> {
    const until = Date.now() + milliseconds
    for (;;) {
      const bounce = bounces.shift()
      if (bounce !== undefined) return bounce
      assert.ok(Date.now() < until, `no bounce in:\n${queue.log.slice(-2000)}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  for (const [what, content] of [
    ['a large message', Buffer.from(`Subject: x\n\n${`${'x'.repeat(1001)}\n`.repeat(200)}`)],
    ['a large message without a line end', Buffer.from(`Subject: x\n\n${`${'x'.repeat(1001)}\n`.repeat(200)}end`)],
    ['a large message in one line', Buffer.alloc(200_000, 'x')],
    ['a small message without a line end', Buffer.from('Subject: x\n\nend')],
  ] as const) {
    it(`the bounce of ${what} ends in a whole line`, async () => {
      await submit(content, ['fails-10-a@x.example'])
      const bounce = await nextBounce()
      assert.match(bounce, /^Return-Path: <sender@me\.example>\nReceived: /m)
      assert.equal(bounce.at(-1), '\n')
      const copy = bounce.slice(bounce.indexOf('Subject: x') - 1)
      const lines = copy.split('\n').slice(4, -2)
      if (what === 'a large message') assert.deepEqual([...new Set(lines)], ['x'.repeat(1001)])
    })
  }

  it('many, refused at length, cost little memory, hold up nobody, and are all named', async () => {
    const submissions = [
      Array.from({ length: 1000 }, (_, n) => `fails-9000-${n}@one.example`),
      Array.from({ length: 2000 }, (_, n) => `fails-375-${n}@d${n % 300}.example`),
      Array.from({ length: 10_000 }, (_, n) => `fails-40-${n}@me.example`),
      Array.from({ length: 1000 }, (_, n) => `fails-9900-${n}@me.example`),
    ]
    let slowest = 0
    let done = false
    const others = (async () => {
      while (!done) {
        const begun = performance.now()
        await submit(body, ['somebody@me.example'])
        slowest = Math.max(slowest, performance.now() - begun)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    })()
    await Promise.all(submissions.map((recipients) => submit(body, recipients)))
    const texts: string[] = []
    for (const _ of submissions) texts.push(await nextBounce(60_000))
    done = true
    await others
    for (const recipients of submissions) {
      const text: string = texts.find((one) => one.includes(`<${recipients[0]}>:\n`)) ?? ''
      const named: ReadonlySet<string | undefined> = new Set(
        [...text.matchAll(/^<([^>\n]+)>:$/gm)].map(([, address]) => address),
      )
      assert.deepEqual(
        recipients.filter((recipient) => !named.has(recipient)),
        [],
      )
    }
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${queue.pid}/status`, 'utf8'))?.[1]) / 1024
    assert.ok(peak < memoryMegabytesMax, `${Math.round(peak)} MB`)
    assert.ok(slowest < answerMillisecondsMax, `an answer took ${Math.round(slowest)} ms`)
  })
})

describe('a bounce that QMAILQUEUE refuses for good', () => {
  const queue = new QueueProcess({ me: 'me.example\n', doublebounceto: 'boss\n' })
  before(async () => {
    // Takes double bounces, if the message says so.
    const program = join(queue.home.path, 'queue.sh')
    writeFileSync(
      program,
      '#!/bin/sh\ncat >"$0.content"; tr "\\000" "|" <&1 >"$0.envelope"\ngrep -q "^F#@\\[\\]|" "$0.envelope" && grep -q "^double: yes" "$0.content" && mv "$0.content" "$0.took" || exit 31\n',
      { mode: 0o755 },
    )
    await queue.start({ QMAILQUEUE: program })
    await queue.remote((attempt) => attempt.recipients.map(() => ({ letter: 'D', text: 'no\n' })))
  })
  after(() => queue.dispose())

  async function send(content: string): Promise<void> {
    queue.log = ''
    const envelope = { sender: 'joe@far.example', recipients: ['r@x.example'] }
    assert.ok((await queue.submit(envelope, noParams, Buffer.from(content))).done)
    await queue.logged(/end msg/)
  }

  it('goes to postmaster', async () => {
    await send('double: yes\n\nx\n')
    assert.match(queue.log, /bounce msg \d+ qp \d+\n/)
    const took = readFileSync(join(queue.home.path, 'queue.sh.took'), 'latin1')
    assert.match(
      took,
      /^To: boss@me\.example\n[^]*the bounce bounced!\n\n<joe@far\.example>:\nmail server permanently rejected message \(#5\.3\.0\)\n\n--- Below this line is the original bounce\.\n\nReturn-Path: <>\nDate: [^]*<r@x\.example>:\nno\n\n--- Below this line is a copy of the message\.\n\nReturn-Path: <joe@far\.example>\n[^]*double: yes\n/m,
    )
  })

  it('is discarded with an alert if postmaster’s is refused, too', async () => {
    await send('double: no\n\nx\n')
    assert.match(queue.log, /alert: bounce\/\d+ is refused for good, as a double bounce too: discarding it: /)
    assert.doesNotMatch(queue.log, /will try later/)
    assert.deepEqual(await queue.ask({ op: 'list' }), [])
  })
})
