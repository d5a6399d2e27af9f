import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { Slots } from './slots.ts'

const limits = { atOnceMax: 1, waitingMax: 2, waitMillisecondsMax: 60_000 }

describe('slots', () => {
  it('what is urgent goes first, the rest in turn; beyond the waiting places nothing is done', async () => {
    const slots = new Slots(limits, realClock)
    const done: string[] = []
    const work = (name: string, isUrgent: boolean): Promise<void | 'full'> =>
      slots.run(async () => void done.push(await Promise.resolve(name)), isUrgent)
    const all = ['a', 'b', 'c', 'd'].map((name) => work(name, false))
    const urgent = ['A', 'B', 'C'].map((name) => work(name, true))
    assert.deepEqual(await Promise.all(all), [undefined, undefined, undefined, 'full'])
    assert.deepEqual(await Promise.all(urgent), [undefined, undefined, 'full'])
    assert.deepEqual(done, ['a', 'A', 'B', 'b', 'c'])
    await work('again', false)
    assert.equal(done.length, 6)
  })

  it('who waits too long is turned away, and a failure gives its place on', async () => {
    const slots = new Slots({ ...limits, waitMillisecondsMax: 5 }, realClock)
    const { promise, reject } = Promise.withResolvers<void>()
    const first = slots.run(() => promise)
    assert.equal(await slots.run(() => Promise.resolve('ran')), 'full')
    reject(new Error('no memory'))
    await assert.rejects(first, /no memory/)
    assert.equal(await slots.run(() => Promise.resolve('ran')), 'ran')
  })
})
