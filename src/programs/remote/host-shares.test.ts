import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../system/clock.ts'
import { HostShares } from './host-shares.ts'

function world(): { shares: HostShares; timers: Set<() => void> } {
  const timers = new Set<() => void>()
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    after(_, callback) {
      timers.add(callback)
      return () => timers.delete(callback)
    },
  }
  return { shares: new HostShares(clock), timers }
}

test('a host has so many attempts at once; another host is another', async () => {
  const { shares, timers } = world()
  assert.deepEqual(await Promise.all(['192.0.2.1', '192.0.2.1'].map((host) => shares.enter(host, 2))), [true, true])
  const third = shares.enter('192.0.2.1', 2)
  assert.equal(await shares.enter('192.0.2.2', 2), true)
  for (const timer of timers) timer()
  assert.equal(await third, false)
})

test('a place that is left goes to who waits longest', async () => {
  const { shares, timers } = world()
  await shares.enter('192.0.2.1', 1)
  const order: string[] = []
  const second = shares.enter('192.0.2.1', 1).then((entered) => order.push(`second ${entered}`))
  const third = shares.enter('192.0.2.1', 1).then((entered) => order.push(`third ${entered}`))
  shares.leave('192.0.2.1')
  await second
  for (const timer of timers) timer()
  await third
  assert.deepEqual(order, ['second true', 'third false'])
  shares.leave('192.0.2.1')
  assert.equal(await shares.enter('192.0.2.1', 1), true)
})

test('the addresses of an IPv6 /64 are one host', async () => {
  const { shares, timers } = world()
  await shares.enter('2001:db8::1', 1)
  const same = shares.enter('2001:db8:0:0:ffff::2', 1)
  assert.equal(await shares.enter('2001:db8:0:1::1', 1), true)
  for (const timer of timers) timer()
  assert.equal(await same, false)
})
