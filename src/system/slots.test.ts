import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Clock, realClock } from './clock.ts'
import { Slots } from './slots.ts'

const limits = { atOnceMax: 1, waitingMax: 2 }
const minute = { millisecondsMax: 60_000 }

describe('slots', () => {
  it('the others wait in order, only so long, and only so many', async () => {
    const timers = new Map<() => void, number>()
    const clock: Clock = {
      now: () => 0,
      monotonic: () => 0,
      after(milliseconds, callback) {
        timers.set(callback, milliseconds)
        return () => timers.delete(callback)
      },
    }
    const slots = new Slots(limits, clock)
    assert.equal(await slots.take({ millisecondsMax: 10 }), true)
    const order: string[] = []
    const wait = (name: string, millisecondsMax: number): Promise<void> =>
      slots.take({ millisecondsMax }).then((granted) => void order.push(`${name} ${granted}`))
    const waiting = [wait('impatient', 10), wait('patient', 1000)]
    assert.equal(await slots.take({ millisecondsMax: 1000 }), false, 'two wait already')
    for (const [callback, milliseconds] of [...timers]) if (milliseconds === 10) callback()
    slots.giveBack()
    await Promise.all(waiting)
    assert.deepEqual(order, ['impatient false', 'patient true'])
    assert.equal(timers.size, 0, 'who was served is not timed any more')
    slots.giveBack()
    assert.equal(await slots.take({ millisecondsMax: 10 }), true)
  })

  it('what is urgent goes first, the rest in turn; beyond the waiting places nothing is done', async () => {
    const slots = new Slots(limits, realClock)
    const done: string[] = []
    const work = (name: string, isUrgent: boolean): Promise<void | 'full'> =>
      slots.run(async () => void done.push(await Promise.resolve(name)), { ...minute, isUrgent })
    const all = ['a', 'b', 'c', 'd'].map((name) => work(name, false))
    const urgent = ['A', 'B', 'C'].map((name) => work(name, true))
    assert.deepEqual(await Promise.all(all), [undefined, undefined, undefined, 'full'])
    assert.deepEqual(await Promise.all(urgent), [undefined, undefined, 'full'])
    assert.deepEqual(done, ['a', 'A', 'B', 'b', 'c'])
    await work('again', false)
    assert.equal(done.length, 6)
  })

  it('a failure gives its slot on', async () => {
    const slots = new Slots(limits, realClock)
    await assert.rejects(
      slots.run(() => Promise.reject(new Error('no memory')), minute),
      /no memory/,
    )
    assert.equal(await slots.run(() => Promise.resolve('ran'), minute), 'ran')
  })

  it('who does not want it any more gives up the place in the queue, and does nothing', async () => {
    const slots = new Slots(limits, realClock)
    await slots.take(minute)
    const leaving = new AbortController()
    const ran: string[] = []
    const work = (name: string, signal: AbortSignal): Promise<void | 'full'> =>
      slots.run(() => Promise.resolve(void ran.push(name)), { ...minute, signal })
    const [left, stayed] = [work('left', leaving.signal), work('stayed', new AbortController().signal)]
    leaving.abort()
    assert.equal(await left, 'full')
    assert.equal(await work('gone before', leaving.signal), 'full')
    slots.giveBack()
    await stayed
    assert.deepEqual(ran, ['stayed'])
  })
})
