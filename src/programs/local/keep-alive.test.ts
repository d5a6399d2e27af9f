import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import { KeepAlive } from './keep-alive.ts'

it('holds the process for the longest time asked for, once, until it ends', () => {
  const clock = new FakeClock()
  let held = 0
  const keepAlive = new KeepAlive(clock, () => {
    held++
    return () => held--
  })
  keepAlive.for(1000)
  keepAlive.for(5000)
  keepAlive.for(10)
  assert.equal(held, 1)
  clock.advance(4999)
  assert.equal(held, 1)
  clock.advance(1)
  assert.equal(held, 0)
  keepAlive.for(1000)
  assert.equal(held, 1)
  keepAlive.leave()
  assert.equal(held, 0)
  keepAlive.for(500)
  assert.equal(held, 1)
  keepAlive.end()
  keepAlive.for(1000)
  assert.equal(held, 0)
})
