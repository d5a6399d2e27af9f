import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from './clock.ts'
import { Slots } from './slots.ts'

test('the others wait in order, only so long, and only so many', async () => {
  const timers = new Map<() => void, number>()
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    after(milliseconds, callback) {
      timers.set(callback, milliseconds)
      return () => timers.delete(callback)
    },
  }
  const slots = new Slots(clock, 1, 2)
  assert.equal(await slots.take(10), true)
  const order: string[] = []
  const wait = (name: string, milliseconds: number): Promise<void> =>
    slots.take(milliseconds).then((granted) => void order.push(`${name} ${granted}`))
  const waiting = [wait('impatient', 10), wait('patient', 1000)]
  assert.equal(await slots.take(1000), false, 'two wait already')
  for (const [callback, milliseconds] of timers) if (milliseconds === 10) callback()
  slots.giveBack()
  await Promise.all(waiting)
  assert.deepEqual(order, ['impatient false', 'patient true'])
  assert.deepEqual([...timers.values()], [10], 'who was served is not timed any more')
  slots.giveBack()
  assert.equal(await slots.take(10), true)
})
