import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ZoneDns } from '#test/kit/zone-dns.ts'
import type { DnsblAnswer } from '../../contracts/policy.ts'
import { realClock } from '../../system/clock.ts'
import { DailyAlert } from './daily-alert.ts'
import { DnsblCheck } from './dnsbl-check.ts'

const ip = '192.0.2.99'
const at = (zone: string): string => `99.2.0.192.${zone}`

describe('DNS lists', () => {
  const told: string[] = []
  const ask = (dns: ZoneDns, lists: readonly string[], millisecondsMax = 2_000): Promise<DnsblAnswer> => {
    told.length = 0
    const onTrouble = (_: string, text: string): void => void told.push(text)
    return new DnsblCheck({ dns, clock: realClock, onTrouble, millisecondsMax }).answer({ ip, lists })
  }

  it('listed: 451 with the text of the list, A asked before TXT', async () => {
    const dns = new ZoneDns().set(at('zen.test'), 'A 127.0.0.4', 'TXT https://zen.test/192.0.2.99')
    assert.deepEqual(await ask(dns, ['zen.test']), {
      kind: 'dnsbl',
      decision: 'listed',
      code: 451,
      zone: 'zen.test',
      address: '127.0.0.4',
      text: 'https://zen.test/192.0.2.99',
      marks: [],
      score: 0,
      rule: 'zen.test',
      logText: 'dnsbl: 192.0.2.99 listed by zen.test (127.0.0.4): 451 https://zen.test/192.0.2.99',
      freshMilliseconds: 0,
    })
    assert.deepEqual(dns.asked, [`A ${at('zen.test')}`, `TXT ${at('zen.test')}`])
  })
  it('not listed: TXT is never asked for', async () => {
    const dns = new ZoneDns().set(at('zen.test'), 'TXT a text alone lists nobody')
    const answer = await ask(dns, ['zen.test'])
    assert.deepEqual([answer.decision, answer.logText], ['clear', 'dnsbl: 192.0.2.99 clear'])
    assert.deepEqual(dns.asked, [`A ${at('zen.test')}`])
  })
  it('an answer of refusal lists nobody and is told', async () => {
    const dns = new ZoneDns().set(at('zen.test'), 'A 127.255.255.254', 'TXT Error: open resolver')
    assert.equal((await ask(dns, ['-zen.test'])).decision, 'clear')
    assert.match(told.join(), /^DNS list zen\.test refuses to answer us \(127\.255\.255\.254\): .*public resolver/)
    assert.deepEqual(dns.asked, [`A ${at('zen.test')}`])
  })
  it('trouble lists nobody, and takes the 553 from those that follow', async () => {
    const dns = new ZoneDns().setName(at('a.test'), { records: [], trouble: true })
    assert.equal((await ask(dns, ['-a.test'])).decision, 'clear')
    dns.set(at('b.test'), 'A 127.0.0.2')
    assert.equal((await ask(dns, ['-a.test', '-b.test'])).code, 451)
    assert.equal((await ask(dns, ['-b.test', '-a.test'])).code, 553)
  })
  it('time: a list that does not answer lists nobody', async () => {
    const dns = new ZoneDns()
    dns.a = () => new Promise(() => undefined)
    assert.equal((await ask(dns, ['a.test', 'b.test'], 30)).decision, 'clear')
  })
  it('a listing without a text has one of ours', async () => {
    const dns = new ZoneDns().set(at('b.test'), 'A 127.0.0.2')
    assert.equal((await ask(dns, ['b.test'])).text, 'your address is listed by b.test')
  })
  it('the first in order that has the address decides', async () => {
    const dns = new ZoneDns().set(at('good.test'), 'A 127.0.0.1').set(at('bad.test'), 'A 127.0.0.2')
    const allowed = await ask(dns, ['none.test', '+good.test', '-bad.test'])
    assert.deepEqual([allowed.decision, allowed.rule, allowed.code], ['allowed', '+good.test', 0])
    assert.equal(allowed.logText, 'dnsbl: 192.0.2.99 allowed by good.test (127.0.0.1)')
    const listed = await ask(dns, ['-bad.test', '+good.test'])
    assert.deepEqual([listed.decision, listed.rule, listed.code], ['listed', '-bad.test', 553])
  })
  it('marks and scores count, whatever is decided', async () => {
    const dns = new ZoneDns()
    for (const zone of ['m.test', 's.test', 'b.test']) dns.set(at(zone), 'A 127.0.0.2')
    const counted = await ask(dns, ['?m.test', '?other.test', 's.test=5', 'other.test=9'])
    assert.deepEqual([counted.decision, counted.marks, counted.score], ['clear', ['m.test'], 5])
    assert.equal(counted.logText, 'dnsbl: 192.0.2.99 marked by m.test, score 5')
    const listed = await ask(dns, ['b.test', '?m.test', 's.test=5'])
    assert.deepEqual([listed.decision, listed.marks, listed.score], ['listed', ['m.test'], 5])
  })
  it('a line that is none is told, the others are asked', async () => {
    const dns = new ZoneDns().set(at('b.test'), 'A 127.0.0.2')
    assert.equal((await ask(dns, ['http://b.test/', 'b.test'])).decision, 'listed')
    assert.equal(told.join(), "control/dnsbls: 'http://b.test/' is not: zone, -zone, +zone, ?zone or zone=N")
  })
  it('tells for how long it is so: as the answers are fresh, and not after trouble', async () => {
    const dns = new ZoneDns().set(at('b.test'), 'A 127.0.0.2')
    dns.freshUntil = realClock.monotonic() + 1_000_000
    assert.equal((await ask(dns, ['a.test', '?b.test'])).freshMilliseconds, 300_000)
    dns.freshUntil = realClock.monotonic() - 1
    assert.equal((await ask(dns, ['a.test', '?b.test'])).freshMilliseconds, 0)
    dns.freshUntil = realClock.monotonic() + 1_000_000
    dns.setName(at('a.test'), { records: [], trouble: true })
    assert.equal((await ask(dns, ['a.test', '?b.test'])).freshMilliseconds, 0)
  })
  it('no lists: nothing is asked', async () => {
    const dns = new ZoneDns()
    assert.equal((await ask(dns, [])).decision, 'clear')
    assert.deepEqual(dns.asked, [])
  })
  it('an IPv4 address in IPv6 form is asked as IPv4', async () => {
    const dns = new ZoneDns().set(at('b.test'), 'A 127.0.0.2')
    const check = new DnsblCheck({ dns, clock: realClock, onTrouble: () => undefined })
    assert.equal((await check.answer({ ip: `::ffff:${ip}`, lists: ['b.test'] })).decision, 'listed')
    await assert.rejects(check.answer({ ip: 'nonsense', lists: ['b.test'] }))
  })
})

describe('an alert', () => {
  it('is told once a day for each topic, for a bounded number of topics', () => {
    let now = 0
    const lines: string[] = []
    const clock = { now: () => now, monotonic: () => now, after: () => () => undefined }
    const alert = new DailyAlert(clock, (line) => void lines.push(line))
    for (let n = 0; n < 3; n++) alert.tell('zen', 'zen is odd')
    assert.deepEqual(lines, ['alert: zen is odd'])
    now = 86_400_000
    alert.tell('zen', 'zen is odd')
    assert.equal(lines.length, 2)
    for (let n = 0; n < 1000; n++) alert.tell(`t${n}`, 'x')
    assert.ok(lines.length <= 2 + 256)
  })
})
