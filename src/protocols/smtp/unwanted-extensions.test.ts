import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { namesExtensions, parseNoExtensions, unwantedExtensions } from './unwanted-extensions.ts'

const table = parseNoExtensions([
  'mx.far.test:pipelining, size',
  '.old.test:EHLO',
  '192.0.2.7:SIZE',
  '[2001:DB8:0::1]:PIPELINING',
  '2001:db8::2:8BITMIME',
  'mx.far.test:8BITMIME',
  ':AUTH',
])
const of = (name: string, address: string): string => [...unwantedExtensions(table, name, address)].sort().join(' ')

describe('control/noextensions', () => {
  it('names, suffixes, everybody; two lines about one host add up', () => {
    assert.equal(of('MX.far.test', '192.0.2.1'), '8BITMIME PIPELINING SIZE')
    assert.equal(of('a.b.old.test', '192.0.2.1'), 'EHLO')
    assert.equal(of('else.test', '192.0.2.1'), 'AUTH')
  })
  it('addresses, in any spelling, before names', () => {
    assert.equal(of('mx.far.test', '192.0.2.7'), 'SIZE')
    assert.equal(of('mx.far.test', '2001:db8::1'), 'PIPELINING')
    assert.equal(of('mx.far.test', '2001:db8::2'), '8BITMIME')
  })
  it('lines that mean something', () => {
    for (const line of ['[2001:db8::1]:SIZE', '2001:db8::1:SIZE', 'a.test:SIZE,AUTH', ':EHLO'])
      assert.ok(namesExtensions(line), line)
    for (const line of ['a.test', 'a.test:', 'a.test:SIZES', '[2001:db8::1:SIZE', '2001:db8::g:SIZE', 'a b:SIZE'])
      assert.ok(!namesExtensions(line), line)
  })
})
