/** One user's deliveries that do not end leave room for everybody else's. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Attempt } from '../../src/contracts/deliver.ts'
import { encodeFromDeliverer } from '../../src/contracts/deliver.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import type { FrameConnection } from '../../src/system/frame-connection.ts'
import { QueueProcess } from '../kit/queue-process.ts'
import { type Report, statusOf } from '#test/kit/status.ts'

const body = Buffer.from('Subject: x\n\nhi\n')
const ok: Report = { letter: 'K', text: 'did 1+0+0\n' }
const slots = 40
/** Users 1, 2 … hold every attempt; everybody else's uid is 9. */
const holders = [1, 2, 3]

describe('shares of the local slots', () => {
  const queue = new QueueProcess({ me: 'me.example\n', concurrencylocal: `${slots}\n` })
  const held: { connection: FrameConnection; attempt: Attempt }[] = []
  let delivered: string[] = []

  before(async () => {
    await queue.start()
    for (const uid of holders) {
      await queue.localOf(uid, (attempt, connection) => {
        held.push({ connection, attempt })
        return undefined
      })
    }
    await queue.localOf(9, (attempt) => {
      delivered.push(attempt.recipients[0] ?? '')
      return ok
    })
    await queue.lspawn((recipient) => Number(/^holds-(\d)/.exec(recipient)?.[1] ?? 9))
  })
  afterEach(async () => {
    // What is held is let go, until nothing is left.
    for (;;) {
      for (const { connection, attempt } of held.splice(0))
        connection.send(encodeFromDeliverer({ kind: 'report', ref: attempt.ref, statuses: [statusOf(ok)] }))
      if ((await queue.ask({ op: 'counts' }))[0]?.['messages'] === 0) break
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    delivered = []
  })
  after(() => queue.dispose())

  async function submit(...recipients: string[]): Promise<void> {
    const outcome = await queue.submit({ sender: 's@me.example', recipients }, noParams, body)
    assert.ok(outcome.done, outcome.done ? '' : outcome.failure.logText)
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    const end = Date.now() + 10_000
    while (!holds()) {
      assert.ok(Date.now() < end, `${what}: ${held.length} held, ${delivered.length} delivered`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  it('one uid gets a part of them', async () => {
    await submit(...Array.from({ length: 500 }, (_, n) => `holds-1-${n}@me.example`))
    await until('its share to be taken', () => held.length === slots / 2)
    await submit('other@me.example')
    await until('the other to be delivered', () => delivered.length === 1)
    assert.equal(held.length, slots / 2)
  })

  it('several leave room too, with more messages than memory holds', async () => {
    const submissions = holders.flatMap((uid) =>
      Array.from({ length: 400 }, (_, n) => submit(`holds-${uid}-${n}@me.example`, `holds-${uid}-${n}-b@me.example`)),
    )
    await Promise.all(submissions)
    await submit('other@me.example')
    await until('the other to be delivered', () => delivered.length === 1)
    assert.ok(held.length < slots, `${held.length} held`)
  })

  it('messages that are done for one recipient and wait for the next leave memory too', async () => {
    await submit(...Array.from({ length: 30 }, (_, n) => `holds-1-${n}@me.example`))
    await until('the share to be taken', () => held.length === slots / 2)
    await Promise.all(Array.from({ length: 600 }, (_, n) => submit(`fast-${n}@me.example`, `holds-1-x${n}@me.example`)))
    await until('the fast ones to be delivered', () => delivered.length === 600)
    await submit('other@me.example')
    await until('the other to be delivered', () => delivered.length === 601)
  })

  it('what waited for its share is delivered once when the share is free', async () => {
    const recipients = Array.from({ length: 200 }, (_, n) => `holds-2-${n}@me.example`)
    await Promise.all(recipients.map((recipient) => submit(recipient)))
    const seen: string[] = []
    while (seen.length < recipients.length) {
      await until('an attempt', () => held.length > 0)
      for (const { connection, attempt } of held.splice(0)) {
        seen.push(attempt.recipients[0] ?? '')
        connection.send(encodeFromDeliverer({ kind: 'report', ref: attempt.ref, statuses: [statusOf(ok)] }))
      }
    }
    assert.deepEqual(seen.toSorted(), recipients.toSorted())
  })
})

describe('messages to very many, more than memory holds', () => {
  const queue = new QueueProcess({ me: 'me.example\n' })
  after(() => queue.dispose())

  it('leave turns to one that comes later', async () => {
    await queue.start()
    const submit = async (...recipients: string[]): Promise<void> => {
      const outcome = await queue.submit({ sender: 's@me.example', recipients }, noParams, body)
      assert.ok(outcome.done)
    }
    for (const n of [1, 2, 3, 4, 5, 6])
      await submit(...Array.from({ length: 10_000 }, (_, at) => `list-${n}-${at}@me.example`))
    await submit('other@me.example')
    const delivered: string[] = []
    const seen = new Promise<void>((resolve) => {
      void queue.localOf(9, (attempt) => {
        delivered.push(attempt.recipients[0] ?? '')
        if (delivered.includes('other@me.example')) resolve()
        return ok
      })
    })
    await queue.lspawn(() => 9)
    await seen
    assert.ok(delivered.length < 2000, `${delivered.length} were delivered before`)
  })
})
