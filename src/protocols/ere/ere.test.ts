import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileEre } from './ere.ts'

const matches = (pattern: string, text: string): boolean => compileEre(pattern).matches(text)

test('patterns as people write them in bad* files', () => {
  const cases: readonly [string, string, boolean][] = [
    ['spam', 'no-SPAM-here', true],
    ['^spam', 'no spam', false],
    ['@example\\.(com|net)$', 'joe@Example.NET', true],
    ['@example\\.(com|net)$', 'joe@example.net.org', false],
    ['^[0-9]{3,}@', '12@x', false],
    ['^[0-9]{3,}@', '1234@x', true],
    ['^.{2}$', 'abc', false],
    ['^a{2,3}$', 'aaa', true],
    ['^a{2,3}$', 'aaaa', false],
    ['^a{0}b$', 'b', true],
    ['%', 'user%host@x', true],
    ['[]%]', 'a]b', true],
    ['[^a-z0-9.@-]', 'joe@example.com', false],
    ['[^a-z0-9.@-]', 'joe!x@example.com', true],
    ['^[[:digit:][:space:]]+$', '1 2', true],
    ['(a|b)*c', 'zzababc', true],
    ['^$', '', true],
    ['^$', 'x', false],
    ['', 'anything', true],
    ['(^|@)x', 'a@x', true],
    ['a|', 'zzz', true],
    ['\\w+\\.\\w+', '--', false],
    ['\\*', '*', true],
    ['[a-c]', 'B', true],
    ['\xe9', 'caf\xe9', true],
    ['(a*)*b', 'aaab', true],
    ['(a*)+$', 'b', true],
  ]
  for (const [pattern, text, expected] of cases) assert.equal(matches(pattern, text), expected, `${pattern} on ${text}`)
})

test('what cannot be had is refused, with the reason', () => {
  for (const pattern of [
    '(',
    'a)',
    '[a',
    '*a',
    'a{',
    'a{2,1}',
    'a{256}',
    '\\1',
    '\\bx',
    'a\\',
    '[z-a]',
    '[[:nope:]]',
    '[[.a.]]',
    '(a{200}){200}',
    '('.repeat(60) + ')'.repeat(60),
    'a'.repeat(1001),
  ]) {
    assert.throws(() => compileEre(pattern), { name: 'EreError' }, pattern)
  }
})

test('what makes a backtracking matcher hang takes steps in proportion', () => {
  // (a|a)*b with backtracking is 2^n: this test would not end.
  assert.equal(matches('^(a|a)*b$', 'a'.repeat(1000)), false)
  assert.equal(matches('^((a?){50}){10}c$', 'a'.repeat(1000)), false)
  assert.equal(matches('(.*)(.*)(.*)(.*)x$', 'a'.repeat(1000)), false)
})
