import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FreshMap } from './fresh-map.ts'

test('an entry is there until its end, and not after it', () => {
  const map = new FreshMap<string>(10)
  map.set('a', 'x', 100)
  assert.equal(map.get('a', 99), 'x')
  assert.equal(map.get('a', 100), undefined)
  assert.equal(map.get('a', 99), undefined)
})

test('beyond its size the oldest goes; what is set again is young', () => {
  const map = new FreshMap<number>(2)
  map.set('a', 1, 100)
  map.set('b', 2, 100)
  map.set('a', 3, 100)
  map.set('c', 4, 100)
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => map.get(key, 0)),
    [3, undefined, 4],
  )
})
