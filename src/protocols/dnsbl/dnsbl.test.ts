import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { blockedLine, listName, listText, parseDnsList, readListAnswer, readRblsmtpd } from './dnsbl.ts'

describe('a line of control/dnsbls', () => {
  const cases: [string, ReturnType<typeof parseDnsList>][] = [
    ['zen.spamhaus.org', { zone: 'zen.spamhaus.org', use: 'block', score: 0 }],
    ['Zen.Spamhaus.ORG.', { zone: 'zen.spamhaus.org', use: 'block', score: 0 }],
    ['-bl.test', { zone: 'bl.test', use: 'refuse', score: 0 }],
    ['+list.dnswl.org', { zone: 'list.dnswl.org', use: 'allow', score: 0 }],
    ['?b.test', { zone: 'b.test', use: 'mark', score: 0 }],
    ['b.test=7', { zone: 'b.test', use: 'score', score: 7 }],
    ['', undefined],
    ['-', undefined],
    ['+b.test=7', undefined],
    ['b.test=', undefined],
    ['b.test=-1', undefined],
    ['b.test=9999999', undefined],
    ['a b', undefined],
    ['a..b', undefined],
    ['https://zen.spamhaus.org/', undefined],
    [`${'x'.repeat(64)}.test`, undefined],
  ]
  for (const [line, wanted] of cases) it(JSON.stringify(line), () => assert.deepEqual(parseDnsList(line), wanted))
})

describe('the name to ask', () => {
  it('IPv4: octets, last first', () => {
    assert.equal(listName([192, 0, 2, 99], 'zen.test'), '99.2.0.192.zen.test')
  })
  it('IPv6: 32 nibbles, last first (RFC 5782 §2.4)', () => {
    const bytes = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 3, 0, 4, 0x05, 0x67, 0x89, 0xab]
    assert.equal(
      listName(bytes, 'ugly.example.com'),
      'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com',
    )
  })
  it('a name over 253 bytes is not asked', () => {
    const zone = `${'x'.repeat(60)}.`.repeat(4).slice(0, -1)
    assert.equal(listName([1, 2, 3, 4], zone), `4.3.2.1.${zone}`)
    assert.equal(listName(Array(16).fill(0) as number[], zone), undefined)
  })
})

describe('an answer', () => {
  it('counts in 127.0.0.0/8 only', () => {
    assert.deepEqual(readListAnswer(['127.0.0.2'], 'block'), { kind: 'listed', address: '127.0.0.2' })
    assert.deepEqual(readListAnswer(['192.0.2.1'], 'block'), { kind: 'clear' })
    assert.deepEqual(readListAnswer(['127.evil.0.1'], 'block'), { kind: 'clear' })
    assert.deepEqual(readListAnswer([], 'block'), { kind: 'clear' })
  })
  it('from 127.255.255.0/24 is no listing', () => {
    for (const last of [0, 252, 254, 255]) {
      const address = `127.255.255.${last}`
      assert.deepEqual(readListAnswer([address], 'refuse'), { kind: 'refused', address })
    }
    assert.deepEqual(readListAnswer(['127.255.254.1'], 'block'), { kind: 'listed', address: '127.255.254.1' })
  })
  it('a listing beside a refusal counts', () => {
    assert.deepEqual(readListAnswer(['127.255.255.254', '127.0.0.4'], 'block'), {
      kind: 'listed',
      address: '127.0.0.4',
    })
  })
  it("an allow-list's 127.0.0.255 allows nobody", () => {
    assert.equal(readListAnswer(['127.0.0.255'], 'allow').kind, 'refused')
    assert.equal(readListAnswer(['127.0.0.255'], 'block').kind, 'listed')
  })
})

describe('texts', () => {
  it('are cut at 200 bytes and made printable', () => {
    assert.equal(listText('a\r\nb\x80\t'), 'a??b??')
    assert.equal(listText('x'.repeat(300)).length, 200)
  })
  it("rblsmtpd's log line", () => {
    assert.equal(blockedLine('192.0.2.1', 7, 451, 'go away'), 'rblsmtpd: 192.0.2.1 pid 7: 451 go away')
  })
  it('RBLSMTPD', () => {
    assert.deepEqual(readRblsmtpd(undefined), { kind: 'ask' })
    assert.deepEqual(readRblsmtpd(''), { kind: 'pass' })
    assert.deepEqual(readRblsmtpd('no\n'), { kind: 'blocked', code: 451, text: 'no?' })
    assert.deepEqual(readRblsmtpd('-never'), { kind: 'blocked', code: 553, text: 'never' })
  })
})
