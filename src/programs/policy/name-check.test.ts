import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ZoneDns } from '#test/kit/zone-dns.ts'
import type { Answer } from '../../clients/dns/dns.ts'
import { realClock } from '../../system/clock.ts'
import { NameCheck } from './name-check.ts'

const ip = '192.0.2.9'
const record = '9.2.0.192.in-addr.arpa'

async function ask(dns: ZoneDns, confirm: boolean, address = ip): Promise<readonly [name: string, leadsBack: boolean]> {
  const { name, leadsBack } = await new NameCheck({ dns, clock: realClock }).answer({ ip: address, confirm })
  return [name, leadsBack]
}

describe('the name of a client', () => {
  it('is what PTR says, in lower case, without its final dot; nothing else is asked', async () => {
    const dns = new ZoneDns().set(record, 'PTR Mail.Example.TEST.')
    assert.deepEqual(await ask(dns, false), ['mail.example.test', false])
    assert.deepEqual(dns.asked, [`PTR ${record}`])
    const answer = await new NameCheck({ dns, clock: realClock }).answer({ ip, confirm: false })
    assert.deepEqual([answer.rule, answer.logText], [`PTR ${record}`, 'name: 192.0.2.9 is mail.example.test'])
  })

  it('leads back if one of its addresses is the client’s', async () => {
    const dns = new ZoneDns().set(record, 'PTR mx.test').set('mx.test', 'A 192.0.2.1', 'A 192.0.2.9')
    assert.deepEqual(await ask(dns, true), ['mx.test', true])
    dns.set('mx.test', 'A 192.0.2.1')
    assert.deepEqual(await ask(dns, true), ['mx.test', false])
  })

  it('of several the first that leads back is taken, else the first', async () => {
    const dns = new ZoneDns().set(record, 'PTR bank.test', 'PTR mx.test').set('mx.test', 'A 192.0.2.9')
    assert.deepEqual(await ask(dns, true), ['mx.test', true])
    dns.set('mx.test', 'A 192.0.2.1')
    assert.deepEqual(await ask(dns, true), ['bank.test', false])
  })

  it('IPv6: by nibbles, and back by AAAA in any spelling', async () => {
    const nibbles = '9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'
    const dns = new ZoneDns().set(nibbles, 'PTR six.test').set('six.test', 'AAAA 2001:DB8:0::9', 'A 192.0.2.9')
    assert.deepEqual(await ask(dns, true, '2001:db8::9'), ['six.test', true])
    assert.deepEqual(dns.asked, [`PTR ${nibbles}`, 'AAAA six.test'])
  })

  it('there is none without PTR, in trouble, or if no host can have it', async () => {
    assert.deepEqual(await ask(new ZoneDns(), true), ['', false])
    assert.deepEqual(await ask(new ZoneDns().setName(record, { records: [], trouble: true }), true), ['', false])
    const bytes = new ZoneDns().set(record, 'PTR mail.test\r\nX: y', 'PTR (HELO', `PTR ${'a'.repeat(64)}.test`)
    assert.deepEqual(await ask(bytes, false), ['', false])
  })

  it('trouble on the way back: the name does not lead back, and is asked about again', async () => {
    const dns = new ZoneDns().set(record, 'PTR mx.test').setName('mx.test', { records: [], trouble: true })
    const check = new NameCheck({ dns, clock: realClock })
    dns.freshUntil = realClock.monotonic() + 60_000
    const { name, leadsBack, freshMilliseconds } = await check.answer({ ip, confirm: true })
    assert.deepEqual([name, leadsBack, freshMilliseconds], ['mx.test', false, 0])
  })

  it('who answers nothing at all is waited for within one limit', async () => {
    const never = (): Promise<Answer<string>> => new Promise(() => undefined)
    const silent = { ptr: never, a: never, aaaa: never }
    const check = new NameCheck({ dns: silent, clock: realClock, millisecondsMax: 50 })
    assert.equal((await check.answer({ ip, confirm: true })).name, '')
    const dns = { ...silent, ptr: () => Promise.resolve({ kind: 'found', values: ['mx.test'] } as const) }
    const half = await new NameCheck({ dns, clock: realClock, millisecondsMax: 50 }).answer({ ip, confirm: true })
    assert.deepEqual([half.name, half.leadsBack, half.freshMilliseconds], ['mx.test', false, 0])
  })
})
