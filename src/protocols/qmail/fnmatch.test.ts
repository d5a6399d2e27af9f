import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fnmatch } from './fnmatch.ts'

test('what fnmatch(3) says without flags', () => {
  const cases: readonly [string, string, boolean][] = [
    ['*', '', true],
    ['2*', '250 ok', true],
    ['2*', '', false],
    ['250?AUTH*', '250-AUTH LOGIN', true],
    ['250?AUTH*', '250AUTH', false],
    ['*ok*', '250 it is ok so', true],
    ['*a*b', 'xaxbxb', true],
    ['*a*b', 'xaxbx', false],
    ['[24]*', '451 no', true],
    ['[!24]*', '451 no', false],
    ['[2-5]50', '350', true],
    ['[]]', ']', true],
    ['[', '[', true],
    ['a[b', 'a[b', true],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['.*', '/a', false],
    ['?/*', 'a/b', true],
    ['', '', true],
    ['', 'a', false],
  ]
  for (const [pattern, text, expected] of cases) assert.equal(fnmatch(pattern, text), expected, `${pattern} on ${text}`)
})

test('many stars cost no more than text times pattern', () => {
  assert.equal(fnmatch(`${'*a'.repeat(50)}*b`, 'a'.repeat(2000)), false)
})
