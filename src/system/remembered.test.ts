import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { realClock } from './clock.ts'
import { Remembered } from './remembered.ts'

describe('remembered', () => {
  it('answers are asked for once in their time, also while the first is under way; trouble is asked for again', async () => {
    let now = 0
    const remembered = new Remembered<string>({ ...realClock, monotonic: () => now }, { milliseconds: 10, countMax: 2 })
    const asked: string[] = []
    const get = (key: string): Promise<string> =>
      remembered.get(key, async () => {
        asked.push(key)
        return await Promise.resolve(key.toUpperCase())
      })
    assert.deepEqual(await Promise.all([get('a'), get('a'), get('b')]), ['A', 'A', 'B'])
    await get('a')
    assert.deepEqual(asked, ['a', 'b'])
    now = 10
    await get('a')
    assert.deepEqual(asked, ['a', 'b', 'a'])
    await get('c')
    await get('c')
    assert.deepEqual(asked, ['a', 'b', 'a', 'c'])
    const fail = (): Promise<string> => Promise.reject(new Error('getent'))
    await assert.rejects(remembered.get('d', fail), /getent/)
    assert.equal(await get('d'), 'D')
  })
})
