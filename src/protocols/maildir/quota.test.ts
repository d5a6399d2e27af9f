import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  formatChange,
  formatMaildirsize,
  isCountedFolder,
  isFull,
  isOver,
  parseLimit,
  parseMaildirsize,
} from './quota.ts'

describe('maildirsize', () => {
  it('is a limit, a count, and what came and went since', () => {
    assert.deepEqual(parseMaildirsize('1000S,20C\n100 2\n50 1\n-100 -2\n'), {
      limit: { bytes: 1000, messages: 20 },
      used: { bytes: 50, messages: 1 },
      isCounted: true,
      isFresh: false,
    })
    assert.equal(parseMaildirsize('1000S\n100 2\n')?.isFresh, true)
  })

  it('may be padded, hold a limit alone, or a number that is no limit', () => {
    assert.deepEqual(parseMaildirsize('20C\n         100            2\n')?.used, { bytes: 100, messages: 2 })
    assert.equal(parseMaildirsize('1000S')?.isCounted, false)
    assert.deepEqual(parseLimit('0S,5C'), { bytes: undefined, messages: 5 })
    for (const none of ['0S', '0S,0C', '', 'S', '10', '10X', '-5S', '10S;5C']) assert.equal(parseLimit(none), undefined)
  })

  it('passes over what is cut or malformed, and is never less than nothing', () => {
    assert.deepEqual(parseMaildirsize('9S\n5 1\nx y\n5\n\n3 1 4\n-99 -9\n')?.used, { bytes: 0, messages: 0 })
  })

  it('reads back what it writes, whatever follows', () => {
    const number = fc.nat({ max: 2 ** 40 })
    const usage = fc.record({ bytes: number, messages: number })
    fc.assert(
      fc.property(fc.integer({ min: 1 }), usage, fc.array(usage), (bytes, used, changes) => {
        const text = formatMaildirsize({ bytes, messages: undefined }, used) + changes.map(formatChange).join('')
        const found = parseMaildirsize(text)
        assert.deepEqual(found?.limit, { bytes, messages: undefined })
        assert.equal(found?.used.bytes, used.bytes + changes.reduce((all, one) => all + one.bytes, 0))
        assert.equal(found?.isFresh, changes.length === 0)
      }),
    )
  })

  it('any bytes are a limit or none', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const found = parseMaildirsize(text)
        assert.ok(found === undefined || found.used.bytes >= 0)
      }),
    )
  })
})

describe('a quota', () => {
  const limit = { bytes: 100, messages: 3 }
  it('is reached by bytes or by messages, and may be used up to the last byte', () => {
    const one = { bytes: 50, messages: 1 }
    assert.equal(isOver(limit, { bytes: 50, messages: 2 }, one), false)
    assert.equal(isOver(limit, { bytes: 51, messages: 0 }, one), true)
    assert.equal(isOver(limit, { bytes: 0, messages: 3 }, one), true)
    const fullAt = (bytes: number): boolean =>
      isFull({ limit, used: { bytes, messages: 0 }, isCounted: true, isFresh: true })
    assert.deepEqual([fullAt(99), fullAt(100)], [false, true])
  })
})

describe('names', () => {
  it('of folders begin with a dot; the trash does not count', () => {
    assert.deepEqual(['.', '..', 'cur', '.Trash', '.Sent', '.a.b'].map(isCountedFolder), [
      false,
      false,
      false,
      false,
      true,
      true,
    ])
  })
})
