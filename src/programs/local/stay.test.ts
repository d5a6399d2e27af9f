import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import { Stay } from './stay.ts'

it('holds the process for the longest time asked for, once, until it ends', () => {
  const clock = new FakeClock()
  let held = 0
  const stay = new Stay(clock, () => {
    held++
    return () => held--
  })
  stay.for(1000)
  stay.for(5000)
  stay.for(10)
  assert.equal(held, 1)
  clock.advance(4999)
  assert.equal(held, 1)
  clock.advance(1)
  assert.equal(held, 0)
  stay.for(1000)
  assert.equal(held, 1)
  stay.leave()
  assert.equal(held, 0)
  stay.for(500)
  assert.equal(held, 1)
  stay.end()
  stay.for(1000)
  assert.equal(held, 0)
})
