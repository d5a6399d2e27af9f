/** What a real validating resolver says of signed, unsigned and broken zones, and what follows for mail (RFC 7672 §2.2). */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { SystemDns } from '../../src/clients/dns/resolver.ts'
import { MailExchangers, type Target } from '../../src/clients/smtp/mail-exchangers.ts'
import { realClock } from '../../src/system/clock.ts'
import { realRandom } from '../../src/system/random.ts'
import { without } from '../kit/tool.ts'
import { Unbound } from '../kit/unbound.ts'

const skip = without('unbound', 'dnssec-keygen', 'dnssec-signzone')
const digest = 'ab'.repeat(32)
const records = [
  '@ 300 IN MX 10 mx',
  '@ 300 IN MX 20 alias',
  '@ 300 IN MX 30 bare',
  'mx 300 IN A 192.0.2.1',
  'mx 300 IN AAAA 2001:db8::1',
  'alias 300 IN CNAME mx',
  'bare 300 IN A 192.0.2.2',
  `_25._tcp.mx 300 IN TLSA 3 1 1 ${digest}`,
]

describe('DNSSEC by a resolver', { skip }, () => {
  let unbound: Unbound
  let dns: SystemDns
  let exchangers: MailExchangers
  before(async () => {
    unbound = await Unbound.start([
      { name: 'signed.example', is: 'signed', records },
      { name: 'expired.example', is: 'expired', records },
      { name: 'plain.example', is: 'plain', records },
      { name: 'mixed.example', is: 'signed', records: ['@ 300 IN MX 10 mx.plain.example.'] },
      {
        name: 'half.example',
        is: 'plain',
        records: ['@ 300 IN MX 10 mx.signed.example.', '@ 300 IN MX 20 mx.signed.example.'],
      },
    ])
    dns = new SystemDns(realClock, [unbound.server], { queryMilliseconds: 3_000, triesMax: 2 }, () => true)
    exchangers = new MailExchangers({ dns, random: realRandom, isOurs: () => false, isDead: () => false })
  })
  after(() => unbound?.stop())

  async function targetsOf(domain: string): Promise<readonly Target[]> {
    const found = await exchangers.ofDomain(domain)
    return found.kind === 'targets' ? found.targets : []
  }

  async function securedOf(domain: string): Promise<string[]> {
    const targets = await targetsOf(domain)
    return targets.map(({ address, name, secured }) => `${address} ${name} ${secured?.tlsaHosts.join(',') ?? '-'}`)
  }

  it('a signed zone: exchangers are certain, and so is where their TLSA records are', async () => {
    assert.deepEqual(await securedOf('signed.example'), [
      '192.0.2.1 mx.signed.example mx.signed.example',
      '2001:db8::1 mx.signed.example mx.signed.example',
      '192.0.2.1 alias.signed.example mx.signed.example,alias.signed.example',
      '2001:db8::1 alias.signed.example mx.signed.example,alias.signed.example',
      '192.0.2.2 bare.signed.example bare.signed.example',
    ])
    const tlsa = await dns.tlsa('_25._tcp.mx.signed.example')
    assert.ok(tlsa.kind === 'found' && tlsa.isSecure === true)
    assert.equal(Buffer.from(tlsa.values[0]?.data ?? []).toString('hex'), digest)
    const absent = await dns.tlsa('_25._tcp.bare.signed.example')
    assert.deepEqual([absent.kind, absent.isSecure], ['hard', true])
  })

  it('a zone whose signatures are out of date: nobody knows now, and mail waits', async () => {
    const found = await exchangers.ofDomain('expired.example')
    assert.deepEqual(found.kind === 'failed' && found.status.class, 4)
    assert.equal((await dns.tlsa('_25._tcp.mx.expired.example')).kind, 'soft')
  })

  it('a zone that is not signed, or exchangers that an unsigned zone names, are not certain', async () => {
    for (const domain of ['plain.example', 'half.example'])
      for (const secured of await securedOf(domain)) assert.match(secured, / -$/)
    const tlsa = await dns.tlsa('_25._tcp.mx.plain.example')
    assert.deepEqual([tlsa.kind, tlsa.isSecure], ['found', undefined])
  })

  it('a signed zone that names a host of an unsigned one: the exchanger is certain, its address is not', async () => {
    assert.deepEqual(await securedOf('mixed.example'), ['192.0.2.1 mx.plain.example ', '2001:db8::1 mx.plain.example '])
  })
})
