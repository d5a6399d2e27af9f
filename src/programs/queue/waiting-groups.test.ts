import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Group, Pass } from './live-message.ts'
import { WaitingGroups } from './waiting-groups.ts'

test('messages take turns, each in its own order; what is put back goes first', () => {
  const waiting = new WaitingGroups()
  const pass = (): Pass => ({}) as Pass
  const group = (name: string, of: Pass): Group => ({ waitsFor: name, pass: of }) as Group
  const [large, small] = [pass(), pass()]
  for (const name of ['l1', 'l2', 'l3', 'l4']) waiting.push(group(name, large))
  const names = (count: number): (string | undefined)[] =>
    Array.from({ length: count }, () => waiting.shift()?.waitsFor)
  assert.deepEqual(names(1), ['l1'])
  for (const name of ['s1', 's2']) waiting.push(group(name, small))
  waiting.unshift(group('back', large))
  assert.deepEqual(names(7), ['back', 'l2', 's1', 'l3', 's2', 'l4', undefined])
})
