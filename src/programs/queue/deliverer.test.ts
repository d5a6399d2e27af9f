import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { noParams } from '../../contracts/envelope.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import { Deliverer } from './deliverer.ts'
import { attemptMillisecondsMax } from './limits.ts'
import { beginPass, type Group, LiveMessages } from './live-message.ts'
import { lspawnStatuses } from '../../protocols/qmail/delivery-status.ts'

let monotonicMs = 0
const clock: Clock = { now: () => 0, monotonic: () => monotonicMs, after: () => () => undefined }

function groupWithToken(id: number, token: string): Group {
  const live = new LiveMessages().acquire(
    {
      id,
      bornMs: 0,
      sender: '',
      uid: 0,
      bytes: 100_000,
      inFile: true,
      params: noParams,
      held: false,
      due: { local: 0, remote: undefined },
      recipients: [
        {
          channel: 'local',
          address: 'a@b',
          params: noParams,
          original: 'a@b',
          prependBytes: 0,
          state: 'waiting',
          last: undefined,
          lastMs: -1,
        },
      ],
    },
    undefined,
  )
  const [group] = beginPass(live, 'local', 0, 100).groups
  assert.ok(group !== undefined)
  group.token = token
  return group
}

function delivererWith(...groups: Group[]): Deliverer {
  const nowhere = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
  const connection = new FrameConnection(nowhere, { onFrame: () => undefined, onClose: () => undefined })
  const deliverer = new Deliverer(connection, clock)
  deliverer.ready(10)
  for (const group of groups) deliverer.send({ group, key: 1, content: undefined })
  return deliverer
}

test("content is given for the token of an attempt in flight, and for that attempt's message only", () => {
  const [one, two] = [groupWithToken(1, 'a'.repeat(16)), groupWithToken(2, 'b'.repeat(16))]
  const deliverer = delivererWith(one, two)
  assert.equal(deliverer.groupWithToken(1, one.token), one)
  assert.equal(deliverer.groupWithToken(1, two.token), undefined)
  assert.equal(deliverer.groupWithToken(1, 'c'.repeat(16)), undefined)
  assert.equal(deliverer.groupWithToken(1, ''), undefined)
  deliverer.reported(1, [lspawnStatuses.trash])
  assert.equal(deliverer.groupWithToken(1, one.token), undefined)
})

test('a small message, which has no token, cannot be fetched without one', () => {
  assert.equal(delivererWith(groupWithToken(1, '')).groupWithToken(1, ''), undefined)
})

test('whoever reports nothing for longer than an attempt may take is stuck', () => {
  monotonicMs = 1000
  const deliverer = delivererWith(groupWithToken(1, ''))
  monotonicMs += attemptMillisecondsMax
  assert.equal(deliverer.isStuck, false)
  monotonicMs++
  assert.equal(deliverer.isStuck, true)
  deliverer.reported(1, [lspawnStatuses.trash])
  assert.equal(deliverer.isStuck, false)
})
