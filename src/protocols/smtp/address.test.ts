import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { quoteAddress } from '../qmail/quote.ts'
import { addressLiteral, domainOf, hostKeys, parseAddress, readAddress } from './address.ts'
import { replies } from './replies.ts'

test('as lenient as qmail-smtpd', () => {
  const cases: [argument: string, address: string, rest?: string][] = [
    ['FROM:<a@b>', 'a@b'],
    ['<a@b>', 'a@b'],
    ['FROM:<>', ''],
    ['', ''],
    ['garbage', ''],
    ['FROM:a@b', 'a@b'],
    ['FROM:  a@b SIZE=1', 'a@b', 'SIZE=1'],
    ['FROM: <a@b> SIZE=1 BODY=7BIT', 'a@b', ' SIZE=1 BODY=7BIT'],
    ['TO:<a@b', 'a@b'],
    ['TO:<@x,@y:a@b>', 'a@b'],
    ['TO:<@x>', ''],
    ['TO:@x:a@b', 'a@b'],
    ['TO:<"a b"@c>', 'a b@c'],
    ['TO:<"a>b"@c> X', 'a>b@c', ' X'],
    ['TO:<a\\@b@c>', 'a@b@c'],
    ['TO:<"a\\"b"@c>', 'a"b@c'],
    ['TO:<a@b\\', 'a@b'],
    ['TO:<<a@b>@c>', '<a@b', '@c>'],
    ['to <a@b>', 'a@b'],
  ]
  for (const [argument, address, rest = ''] of cases)
    assert.deepEqual(parseAddress(argument), { address, rest }, argument)
})

test('what the quoting writes, this reads back', () => {
  const byte = fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code))
  const local = fc.string({ unit: byte, minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(local, (name) => {
      assert.equal(parseAddress(`TO:<${quoteAddress(`${name}@host.example`)}>`).address, `${name}@host.example`)
    }),
    { numRuns: 2000 },
  )
})

const asItIs = (address: string): string => address

test('what is behind the @ is a domain or a literal, and says nothing to the next host but that', () => {
  for (const [argument, address] of [
    ['<a@b.example.>', 'a@b.example'],
    ['<a@b.example>', 'a@b.example'],
    ['<a@"b.example">', 'a@b.example'],
    ['<a@m\xfcller_1.example>', 'a@m\xfcller_1.example'],
    ['<"x@y z"@b-c>', 'x@y z@b-c'],
    ['<a@[192.0.2.1]>', 'a@[192.0.2.1]'],
    ['<a@[IPv6:2001:db8::1]>', 'a@[IPv6:2001:db8::1]'],
    ['<a@[].>', 'a@[]'],
    ['<a@>', 'a@'],
    ['<a.>', 'a.'],
    ['<>', ''],
  ] as const)
    assert.deepEqual(readAddress(argument, asItIs), { address, rest: '' }, argument)
  for (const domain of [
    '"b.example> SIZE=77"',
    '"b.example SIZE=77"',
    'b\\ c',
    '"b>"',
    'b..c',
    '.b',
    'b.c..',
    'b,c',
    'b(c)',
    'b;c',
    '[b c]',
    '[192.0.2.1]x',
    'b%c',
    'b!c',
  ])
    assert.equal(readAddress(`<a@${domain}>`, asItIs), replies.noDomain, domain)
})

test('literals', () => {
  assert.equal(addressLiteral('a@[192.0.2.1]'), '192.0.2.1')
  assert.equal(addressLiteral('a@b@[127.0.0.1]'), '127.0.0.1')
  for (const other of ['a', 'a@b', 'a@[1.2.3]', 'a@[1.2.3.4', 'a@[256.1.1.1]', 'a@[IPv6:::1]', 'a@[1.2.3.4]x']) {
    assert.equal(addressLiteral(other), undefined, other)
  }
  assert.equal(domainOf('nobody'), undefined)
})

test('keys of rcpthosts', () => {
  assert.deepEqual([...hostKeys('Mail.Example.ORG')], ['mail.example.org', '.example.org', '.org'])
  assert.deepEqual([...hostKeys('.x')], ['.x'])
})
