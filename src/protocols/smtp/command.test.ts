import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasControl, parseCommand, parseParameters, parseSize } from './command.ts'

test('verb and argument', () => {
  const cases: [line: string, verb: string, argument: string][] = [
    ['MAIL FROM:<a@b>\r', 'mail', 'FROM:<a@b>'],
    ['quit', 'quit', ''],
    ['HELO   x y \r', 'helo', 'x y '],
    ['\r', '', ''],
    [' QUIT', '', 'QUIT'],
    ['QUIT\tnow', 'quit\tnow', ''],
    ['NOOP\r\r', 'noop\r', ''],
  ]
  for (const [line, verb, argument] of cases)
    assert.deepEqual(parseCommand(line), { verb, argument }, JSON.stringify(line))
})

test('parameters', () => {
  assert.deepEqual(
    parseParameters(' size=10  BODY=8BITMIME X'),
    new Map([
      ['SIZE', '10'],
      ['BODY', '8BITMIME'],
      ['X', ''],
    ]),
  )
  assert.deepEqual(parseParameters(''), new Map())
  assert.deepEqual(parseParameters('__proto__=1'), undefined)
  for (const bad of ['=1', 'SIZE=1 SIZE=2', 'A=b=c', 'A=\xe9', '-A=1'])
    assert.equal(parseParameters(bad), undefined, bad)
})

test('sizes', () => {
  assert.equal(parseSize('0'), 0)
  assert.equal(parseSize('99999999999999999999'), 1e20)
  for (const bad of ['', '-1', '1e9', '0x10', '999999999999999999999', '1 '])
    assert.equal(parseSize(bad), undefined, bad)
})

test('control characters, tabs apart', () => {
  for (const bad of ['a\0', '\x1b', 'a\rb', '\x7f']) assert.equal(hasControl(bad), true)
  for (const good of ['a\tb', '\xe9 <x@y>', '']) assert.equal(hasControl(good), false)
})
