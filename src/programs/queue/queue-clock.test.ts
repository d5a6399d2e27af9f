import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLastAttempt, longestWaitMs, nextAttemptMs } from '../../protocols/qmail/schedule.ts'
import { MessageIds } from '../../stores/queue/ids.ts'
import type { Clock } from '../../system/clock.ts'
import { noteMilliseconds } from '../../stores/queue/absence.ts'
import { QueueClock } from './queue-clock.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const year = 365 * day
const lifetimeSeconds = 7 * 86_400

class Machine implements Clock {
  nowMs = Date.UTC(2026, 5, 1)
  monotonicMs = 5000

  now(): number {
    return this.nowMs
  }

  monotonic(): number {
    return this.monotonicMs
  }

  after(): () => void {
    return () => undefined
  }

  pass(milliseconds: number): void {
    this.nowMs += milliseconds
    this.monotonicMs += milliseconds
  }
}

test('set back a year, forward a year, then right: nothing gets older, nothing waits longer', () => {
  const machine = new Machine()
  const clock = new QueueClock(machine, undefined)
  const bornMs = clock.now()
  let age = 0
  for (const step of [-year, 2 * year, -year, 400 * day, -400 * day]) {
    machine.nowMs += step
    machine.pass(10 * minute)
    age += 10 * minute
    assert.equal(clock.now() - bornMs, age)
    assert.equal(isLastAttempt(bornMs, clock.now(), lifetimeSeconds), false)
    const waits = nextAttemptMs('remote', bornMs, clock.now()) - clock.now()
    assert.ok(waits > 0 && waits < 2 * hour, `${waits} ms`)
  }
  assert.equal(clock.toMachine(bornMs), machine.nowMs - age)
})

test('what people are told follows the machine at once, whoever asked last', () => {
  const machine = new Machine()
  const clock = new QueueClock(machine, undefined)
  const bornMs = clock.now()
  machine.nowMs -= year
  assert.equal(clock.toMachine(bornMs), machine.nowMs)
})

test('the same over restarts: nothing gets more than an hour older, and never younger', () => {
  const machine = new Machine()
  let clock = new QueueClock(machine, undefined)
  const bornMs = clock.now()
  let before = clock.now()
  for (const step of [-year, 2 * year, -year, 400 * day, -400 * day, 3 * day]) {
    const stored = clock.reading()
    machine.nowMs += step
    clock = new QueueClock(machine, stored)
    assert.ok(clock.now() >= before && clock.now() - before <= hour, `${step}: ${clock.now() - before} ms`)
    before = clock.now()
  }
  assert.equal(isLastAttempt(bornMs, before, lifetimeSeconds), false)
})

test('small steps are followed, and never make it go back', () => {
  const machine = new Machine()
  const clock = new QueueClock(machine, undefined)
  const before = clock.now()
  machine.nowMs += 10_000
  assert.equal(clock.now(), before + 10_000)
  machine.nowMs -= 20_000
  assert.equal(clock.now(), before + 10_000)
  machine.pass(15_000)
  assert.equal(clock.now(), before + 10_000)
  machine.pass(10_000)
  assert.equal(clock.now(), before + 15_000)
})

test('after a jump forward, and after a long absence, what waits is tried once', () => {
  const machine = new Machine()
  const clock = new QueueClock(machine, undefined)
  assert.equal(clock.takeJump(), false)
  machine.nowMs += day
  clock.now()
  assert.equal(clock.takeJump(), true)
  assert.equal(clock.takeJump(), false)
  const stored = clock.reading()
  machine.nowMs += day
  assert.equal(new QueueClock(machine, stored).takeJump(), true)
  assert.equal(new QueueClock(machine, { ...stored, seenMs: stored.seenMs + day }).takeJump(), false)
})

test('ids are not given twice, whatever the clock does between two runs, and stay exact numbers', () => {
  const machine = new Machine()
  const seen = new Set<number>()
  let stored
  for (const step of [0, -30_000, -hour, -year, 5 * year, -4 * year, 100 * year, -100 * year, -1000, -1000]) {
    machine.nowMs += step
    const clock: QueueClock = new QueueClock(machine, stored)
    // The store is empty: what was in it has been delivered.
    const ids = new MessageIds(0, stored && stored.seenMs + noteMilliseconds)
    stored = clock.reading()
    for (let n = 0; n < 100; n++) {
      const id = ids.next(clock.now())
      assert.ok(Number.isSafeInteger(id) && !seen.has(id), `${id} after ${step}`)
      seen.add(id)
      machine.pass(500)
    }
    // Killed: what was noted when it began is all that is known.
  }
})

test('no due time can be later than the longest wait of the schedule', () => {
  for (const channel of ['local', 'remote'] as const) {
    const longest = longestWaitMs(channel, lifetimeSeconds)
    for (let age = 0; age < lifetimeSeconds; age += 997)
      assert.ok(nextAttemptMs(channel, 0, age * 1000) - age * 1000 <= longest)
    assert.ok(longest < 10 * hour)
  }
})
