import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { applyXclient, decodeXtext, parseXclient } from './xclient.ts'

function values(argument: string): Record<string, string | undefined> {
  const parsed = parseXclient(argument)
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return Object.fromEntries(parsed.values)
}

describe('XCLIENT', () => {
  it('reads every attribute, in any case, several in a line', () => {
    assert.deepEqual(
      values(
        'name=mail.example ADDR=192.0.2.9 PORT=40000 PROTO=esmtp HELO=h.example LOGIN=anna DESTADDR=IPV6:2001:DB8:0::1 DESTPORT=25',
      ),
      {
        NAME: 'mail.example',
        ADDR: '192.0.2.9',
        PORT: '40000',
        PROTO: 'ESMTP',
        HELO: 'h.example',
        LOGIN: 'anna',
        DESTADDR: '2001:db8::1',
        DESTPORT: '25',
      },
    )
  })

  it('decodes xtext, and knows what nobody knows', () => {
    assert.deepEqual(values('HELO=a+2Bb NAME=[UNAVAILABLE] LOGIN=[tempunavail]'), {
      HELO: 'a+b',
      NAME: undefined,
      LOGIN: undefined,
    })
    assert.equal(decodeXtext('a+zz'), undefined)
    assert.equal(decodeXtext('a+2'), undefined)
  })

  it('refuses what could hide a line, an address or an attribute', () => {
    for (const argument of [
      '',
      'ADDR',
      'FOO=1',
      '=1',
      'HELO=',
      'HELO=a+0Ab',
      'HELO=a+00',
      'HELO=a+0D+0AMAIL',
      'HELO=a+20b',
      `HELO=${'x'.repeat(256)}`,
      'ADDR=example.org',
      'ADDR=1.2.3',
      'ADDR=fe80::1%eth0',
      'ADDR=IPV6:1.2.3.4',
      'PORT=65536',
      'PORT=-1',
      'PORT=0x10',
      'PROTO=LMTP',
      'ADDR=192.0.2.9 NOPE=1',
    ])
      assert.equal(parseXclient(argument).ok, false, argument)
  })

  it('no bytes make it throw, and what it takes is printable', () => {
    const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) })
    fc.assert(
      fc.property(fc.constantFrom('', 'HELO=', 'ADDR=', 'LOGIN=+'), bytes, (start, rest) => {
        const parsed = parseXclient(start + rest)
        if (!parsed.ok) return
        for (const value of parsed.values.values()) assert.match(value ?? '-', /^[\x21-\x7e]+$/)
      }),
    )
  })

  it('changes the environment; with the address goes the right to relay', () => {
    const before = new Map([
      ['PROTO', 'TCP'],
      ['TCPREMOTEIP', '127.0.0.1'],
      ['TCPREMOTEHOST', 'unknown'],
      ['TCPREMOTEINFO', 'joe'],
      ['RELAYCLIENT', ''],
    ])
    const named = applyXclient(before, new Map([['NAME', 'mail.example']]))
    assert.deepEqual([named.get('TCPREMOTEHOST'), named.has('RELAYCLIENT')], ['mail.example', true])
    const moved = applyXclient(
      before,
      new Map([
        ['ADDR', '2001:db8::9'],
        ['LOGIN', undefined],
      ]),
    )
    assert.deepEqual(Object.fromEntries(moved), { PROTO: 'TCP6', TCPREMOTEIP: '2001:db8::9', TCPREMOTEHOST: 'unknown' })
    assert.equal(before.get('TCPREMOTEIP'), '127.0.0.1')
  })
})
