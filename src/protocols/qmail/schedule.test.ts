import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLastAttempt, nextAttemptMs } from './schedule.ts'

function timesOf(channel: 'local' | 'remote', count: number): number[] {
  const times = [0]
  while (times.length < count) times.push(nextAttemptMs(channel, 0, (times.at(-1) ?? 0) * 1000) / 1000)
  return times
}

test('local attempts on time follow qmail: 0, 100, 400, 900 … seconds', () => {
  assert.deepEqual(timesOf('local', 7), [0, 100, 400, 900, 1600, 2500, 3600])
})

test('remote attempts on time follow qmail: 0, 400, 1600, 3600 … seconds', () => {
  assert.deepEqual(timesOf('remote', 9), [0, 400, 1600, 3600, 6400, 10000, 14400, 19600, 25600])
})

test('a birth in the future counts as age 0', () => {
  assert.equal(nextAttemptMs('remote', 5_000_000, 0), 5_000_000 + 400_000)
})

test('with the default lifetime the last remote attempt comes at 608400 seconds', () => {
  const times = timesOf('remote', 60)
  const last = times.find((seconds) => isLastAttempt(0, seconds * 1000, 604_800))
  assert.equal(last, 608_400)
})
