import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { RecentVerdicts } from './recent-verdicts.ts'

describe('passwords that were checked', () => {
  let now = 0
  const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => undefined }
  const verdicts = (): RecentVerdicts => new RecentVerdicts(clock, realRandom, { countMax: 3, milliseconds: 1000 })

  it('are remembered for their time, and by all of their fields', () => {
    const known = verdicts()
    known.add(['anna'], 'secret', 'phone')
    assert.equal(known.find(['anna'], 'secret'), 'phone')
    for (const [who, password] of [
      [['anna'], 'Secret'],
      [['ben'], 'secret'],
      [['annas'], 'ecret'],
      [['anna', ''], 'secret'],
    ] as const)
      assert.equal(known.find(who, password), undefined)
    now += 1000
    assert.equal(known.find(['anna'], 'secret'), undefined)
  })

  it('are bounded: the oldest go', () => {
    const known = verdicts()
    for (const name of ['a', 'b', 'c', 'd']) known.add([name], 'x', name)
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((name) => known.find([name], 'x')),
      [undefined, 'b', 'c', 'd'],
    )
    known.clear()
    assert.equal(known.find(['d'], 'x'), undefined)
  })
})
