import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { announcedEnds, decodeXtext, parseXclient } from './xclient.ts'

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

  it('says whose connection it is: what is not announced stays', () => {
    const announcing = { remoteIp: '127.0.0.1', remotePort: 4711, localIp: '192.0.2.1', localPort: 25 }
    assert.deepEqual(announcedEnds(announcing, new Map([['NAME', 'mail.example']])), announcing)
    const moved = new Map([
      ['ADDR', '2001:db8::9'],
      ['PORT', '40000'],
      ['DESTADDR', undefined],
      ['DESTPORT', undefined],
    ] as const)
    const expected = { remoteIp: '2001:db8::9', remotePort: 40_000, localIp: 'unknown', localPort: 0 }
    assert.deepEqual(announcedEnds(announcing, moved), expected)
  })
})
