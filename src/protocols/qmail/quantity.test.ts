import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseBytes, parseCount, parseSeconds } from './quantity.ts'

describe('numbers as people write them', () => {
  it('sizes', () => {
    for (const [text, bytes] of [
      ['0', 0],
      ['52428800', 52_428_800],
      ['50M', 52_428_800],
      ['50 MiB', 52_428_800],
      ['50mb', 52_428_800],
      ['2k', 2048],
      ['1G', 1024 ** 3],
      ['7 bytes', 7],
    ] as const)
      assert.equal(parseBytes(text), bytes, text)
    for (const text of ['', 'M', '1e6', '1.5G', '-1', '+1', '0x10', '50 apples', '50M 2', '50  M', '9999999T', '50d'])
      assert.equal(parseBytes(text), undefined, text)
  })
  it('times', () => {
    for (const [text, seconds] of [
      ['1200', 1200],
      ['5 minutes', 300],
      ['5m', 300],
      ['1 hour', 3600],
      ['7d', 604_800],
      ['1w', 604_800],
      ['30 Sec', 30],
    ] as const)
      assert.equal(parseSeconds(text), seconds, text)
    for (const text of ['5M', '1h30m', '1:30', '5 min.', 'week', '7 K'])
      assert.equal(parseSeconds(text), undefined, text)
  })
  it('counts have no unit', () => {
    assert.equal(parseCount('200'), 200)
    for (const text of ['200 # many', '2k', '20 connections', '1234567890123456'])
      assert.equal(parseCount(text), undefined)
  })
})
