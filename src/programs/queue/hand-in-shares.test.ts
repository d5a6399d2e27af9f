import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../system/clock.ts'
import { HandInShares } from './hand-in-shares.ts'
import { IdleWatch } from './idle-watch.ts'
import { handInConnectionsMax, handInConnectionsPerUidMax, handInUnfinishedBytesPerUidMax } from './limits.ts'

test('one uid has a bound, and eight that take all they can leave connections for the next', () => {
  const { connections } = new HandInShares()
  const takeAll = (uid: number): number => {
    let taken = 0
    while (connections.take(uid, 1)) taken++
    return taken
  }
  assert.equal(takeAll(1), handInConnectionsPerUidMax)
  let total = handInConnectionsPerUidMax
  for (let uid = 2; uid <= 8; uid++) total += takeAll(uid)
  assert.ok(total < handInConnectionsMax, `${total}`)
  assert.equal(connections.take(9, 1), true)
})

test('what is given back can be taken again', () => {
  const { unfinishedBytes } = new HandInShares()
  assert.equal(unfinishedBytes.take(1, handInUnfinishedBytesPerUidMax), true)
  assert.equal(unfinishedBytes.take(1, 1), false)
  assert.equal(unfinishedBytes.take(1, -10), true)
  assert.equal(unfinishedBytes.take(1, 10), true)
  assert.equal(unfinishedBytes.take(2, handInUnfinishedBytesPerUidMax), true)
})

test('a connection that says nothing ends, unless the queue owes it something', () => {
  let expire = (): void => undefined
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    after: (_milliseconds, callback) => {
      expire = callback
      return () => undefined
    },
  }
  let busy = true
  let ended = 0
  const watch = new IdleWatch(
    clock,
    () => busy,
    () => ended++,
  )
  expire()
  assert.equal(ended, 0)
  busy = false
  watch.heard()
  expire()
  assert.equal(ended, 1)
})
