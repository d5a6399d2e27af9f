import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { parseProxyHeader, type ProxyHeader, version1BytesMax, version2BytesMax } from './header.ts'

function version1(line: string): ProxyHeader {
  return parseProxyHeader(Buffer.from(line, 'latin1'))
}

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function version2(command: number, family: number, body: Buffer): Buffer {
  const fixed = Buffer.from([0x20 | command, family, body.length >> 8, body.length & 255])
  return Buffer.concat([signature, fixed, body])
}

const tcp4Body = Buffer.from([192, 0, 2, 9, 198, 51, 100, 1, 0x9c, 0x40, 0, 25])
const peer4 = { remoteIp: '192.0.2.9', remotePort: 40000, localIp: '198.51.100.1', localPort: 25 }

describe('version 1', () => {
  it('says who is there, and how long it is', () => {
    const line = 'PROXY TCP4 192.0.2.9 198.51.100.1 40000 25\r\n'
    assert.deepEqual(version1(`${line}EHLO x\r\n`), { kind: 'whole', bytes: line.length, announced: peer4 })
    const six = version1('PROXY TCP6 2001:DB8:0::9 ::ffff:198.51.100.1 1 65535\r\n')
    assert.deepEqual(six.kind === 'whole' && six.announced, {
      remoteIp: '2001:db8::9',
      remotePort: 1,
      localIp: '198.51.100.1',
      localPort: 65535,
    })
  })

  it('UNKNOWN is the proxy itself, whatever follows', () => {
    const header = version1('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n')
    assert.deepEqual(header, { kind: 'whole', bytes: 35, announced: undefined })
  })

  it('waits while it is not whole, and not beyond its limit', () => {
    for (const part of ['', 'P', 'PROXY', 'PROXY TCP4 192.0.2.9', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r'])
      assert.equal(version1(part).kind, 'incomplete', part)
    assert.equal(version1('PROXY TCP4 '.padEnd(version1BytesMax - 1, 'x')).kind, 'incomplete')
    assert.equal(version1('PROXY TCP4 '.padEnd(version1BytesMax, 'x')).kind, 'bad')
    assert.equal(version1(`${'PROXY UNKNOWN '.padEnd(version1BytesMax - 2, 'x')}\r\n`).kind, 'whole')
    assert.equal(version1(`${'PROXY UNKNOWN '.padEnd(version1BytesMax - 1, 'x')}\r\n`).kind, 'bad')
  })

  it('refuses what is not exactly so', () => {
    for (const line of [
      'EHLO x',
      'proxy TCP4 1.2.3.4 5.6.7.8 1 2',
      'PROXY  TCP4 1.2.3.4 5.6.7.8 1 2',
      'PROXY UDP4 1.2.3.4 5.6.7.8 1 2',
      'PROXY TCP4 1.2.3.4 5.6.7.8 1',
      'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3',
      'PROXY TCP4 1.2.3 5.6.7.8 1 2',
      'PROXY TCP4 01.2.3.4 5.6.7.8 1 2',
      'PROXY TCP4 ::1 ::1 1 2',
      'PROXY TCP6 1.2.3.4 5.6.7.8 1 2',
      'PROXY TCP6 fe80::1%eth0 ::1 1 2',
      'PROXY TCP4 1.2.3.4 5.6.7.8 65536 2',
      'PROXY TCP4 1.2.3.4 5.6.7.8 01 2',
      'PROXY TCP4 1.2.3.4 5.6.7.8 -1 2',
    ])
      assert.equal(version1(`${line}\r\n`).kind, 'bad', line)
  })
})

describe('version 2', () => {
  it('says who is there; extensions are passed over', () => {
    const body = Buffer.concat([tcp4Body, Buffer.alloc(20, 1)])
    const bytes = Buffer.concat([version2(1, 0x11, body), Buffer.from('EHLO')])
    assert.deepEqual(parseProxyHeader(bytes), { kind: 'whole', bytes: 16 + 32, announced: peer4 })
    const six = Buffer.concat([
      Buffer.from('20010db8000000000000000000000009', 'hex'),
      Buffer.from('00000000000000000000ffffc6336401', 'hex'),
      Buffer.from([0, 1, 0, 25]),
    ])
    const header = parseProxyHeader(version2(1, 0x21, six))
    assert.deepEqual(header.kind === 'whole' && header.announced, {
      remoteIp: '2001:db8::9',
      remotePort: 1,
      localIp: '198.51.100.1',
      localPort: 25,
    })
  })

  it('LOCAL and families without addresses are the proxy itself', () => {
    for (const header of [
      version2(0, 0, Buffer.alloc(0)),
      version2(1, 0, Buffer.alloc(3)),
      version2(1, 0x31, tcp4Body),
    ])
      assert.deepEqual(parseProxyHeader(header), { kind: 'whole', bytes: header.length, announced: undefined })
  })

  it('refuses other versions and commands, short and long ones', () => {
    const other = version2(1, 0x11, tcp4Body)
    other[12] = 0x31
    assert.equal(parseProxyHeader(other).kind, 'bad')
    assert.equal(parseProxyHeader(version2(2, 0x11, tcp4Body)).kind, 'bad')
    assert.equal(parseProxyHeader(version2(1, 0x21, tcp4Body)).kind, 'bad')
    assert.equal(parseProxyHeader(version2(1, 0x11, Buffer.alloc(version2BytesMax - 16, 1))).kind, 'whole')
    assert.equal(parseProxyHeader(version2(1, 0x11, Buffer.alloc(version2BytesMax - 15, 1))).kind, 'bad')
    // Refused as soon as the length is known, before the bytes have come.
    assert.equal(parseProxyHeader(version2(1, 0x11, Buffer.alloc(4000)).subarray(0, 16)).kind, 'bad')
  })
})

it('any cut of a good header is incomplete, and no bytes make it throw', () => {
  const good = [version2(1, 0x11, tcp4Body), Buffer.from('PROXY TCP4 192.0.2.9 198.51.100.1 40000 25\r\n')]
  for (const header of good)
    for (let cut = 0; cut < header.length; cut++)
      assert.equal(parseProxyHeader(header.subarray(0, cut)).kind, 'incomplete', `${cut} bytes`)
  fc.assert(
    fc.property(
      fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', signature.toString('latin1')),
      fc.uint8Array(),
      (start, rest) => {
        const { kind } = parseProxyHeader(Buffer.concat([Buffer.from(start, 'latin1'), rest]))
        assert.ok(['incomplete', 'bad', 'whole'].includes(kind))
      },
    ),
  )
})
