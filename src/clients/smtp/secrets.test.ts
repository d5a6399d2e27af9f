import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findLogin } from './secrets.ts'

describe('findLogin', () => {
  const lines = [
    'half a-line',
    'relay.test any first',
    'relay.test other second',
    'Relay.Test:465 tls  pass word:# ',
    '[2001:db8::1]:587 six secret',
  ]
  it('a line with the port wins', () => {
    assert.deepEqual(findLogin(lines, { host: 'relay.test', port: 465 }), { user: 'tls', password: 'pass word:# ' })
    assert.deepEqual(findLogin(lines, { host: '2001:db8::1', port: 587 }), { user: 'six', password: 'secret' })
  })
  it('otherwise the first line for the host', () => {
    assert.deepEqual(findLogin(lines, { host: 'relay.test', port: 25 }), { user: 'any', password: 'first' })
  })
  it('none for others', () => {
    assert.equal(findLogin(lines, { host: '2001:db8::1', port: 25 }), undefined)
    assert.equal(findLogin(lines, { host: 'other.test', port: 25 }), undefined)
    assert.equal(findLogin(lines, { host: 'half', port: 25 }), undefined)
  })
})
