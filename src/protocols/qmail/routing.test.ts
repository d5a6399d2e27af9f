import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Route, routeRecipient, type RoutingTables } from './routing.ts'

const tables: RoutingTables = {
  envnoathost: 'me.example',
  percenthack: new Set(['hack.example']),
  locals: new Set(['me.example', 'both.example', 'hack.example']),
  virtualdomains: new Map([
    ['virt.example', 'joe-v'],
    ['special@virt.example', 'mary'],
    ['.wild.example', 'wild'],
    ['not.wild.example', ''],
    ['both.example', 'never'],
  ]),
}

function routed(recipient: string, by: RoutingTables): Pick<Route, 'channel' | 'address'> {
  const { channel, address } = routeRecipient(recipient, by)
  return { channel, address }
}

for (const [recipient, channel, address] of [
  ['joe', 'local', 'joe@me.example'],
  ['Joe@ME.example', 'local', 'Joe@ME.example'],
  ['a%b.example@hack.example', 'remote', 'a@b.example'],
  ['a%b%hack.example@hack.example', 'remote', 'a@b'],
  ['plain@hack.example', 'local', 'plain@hack.example'],
  ['x@virt.example', 'local', 'joe-v-x@virt.example'],
  ['SPECIAL@virt.example', 'local', 'mary-SPECIAL@virt.example'],
  ['x@a.b.wild.example', 'local', 'wild-x@a.b.wild.example'],
  ['x@wild.example', 'remote', 'x@wild.example'],
  ['x@not.wild.example', 'remote', 'x@not.wild.example'],
  ['x@both.example', 'local', 'x@both.example'],
  ['a@b@me.example', 'local', 'a@b@me.example'],
  ['x@elsewhere.example', 'remote', 'x@elsewhere.example'],
] as const) {
  test(`${recipient} goes to ${channel} ${address}`, () => {
    assert.deepEqual(routed(recipient, tables), { channel, address })
  })
}

test('an empty key in virtualdomains catches what nothing else does', () => {
  const all = { ...tables, virtualdomains: new Map([['', 'catch']]) }
  assert.deepEqual(routed('x@y.example', all), { channel: 'local', address: 'catch-x@y.example' })
})

test('what a bounce shows is told with the route: without the prepend of the first key that exists', () => {
  const shown = (recipient: string): string => {
    const { address, prependBytes } = routeRecipient(recipient, tables)
    return address.slice(prependBytes)
  }
  assert.equal(shown('x@virt.example'), 'x@virt.example')
  assert.equal(shown('joe-v-x@virt.example'), 'joe-v-x@virt.example')
  assert.equal(shown('x@a.wild.example'), 'x@a.wild.example')
  assert.equal(shown('x%virt.example@hack.example'), 'x@virt.example')
  assert.equal(shown('joe'), 'joe@me.example')
  // As qmail: a key that is a whole address is not looked for.
  assert.equal(shown('special@virt.example'), 'mary-special@virt.example')
})

test('[an address of ours] is localiphost', () => {
  const own = { ...tables, localIpHost: { name: 'me.example', isOurs: (ip: string) => ip === '192.0.2.9' } }
  assert.deepEqual(routed('joe@[192.0.2.9]', own), { channel: 'local', address: 'joe@me.example' })
  assert.deepEqual(routed('joe%[192.0.2.9]@hack.example', own), { channel: 'local', address: 'joe@me.example' })
  assert.deepEqual(routed('joe@[192.0.2.8]', own), { channel: 'remote', address: 'joe@[192.0.2.8]' })
  assert.deepEqual(routed('joe@[192.0.2.9]', tables), { channel: 'remote', address: 'joe@[192.0.2.9]' })
})
