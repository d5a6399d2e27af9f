import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ZoneDns } from '../../../test/kit/zone-dns.ts'
import type { Addresses, Dns, RecordDns } from './dns.ts'
import { compareForward, compareListing, compareMx, compareReverse } from './host-records.ts'

/** As a resolver puts both families together. */
class Zone extends ZoneDns implements Dns, RecordDns {
  addresses(name: string): Promise<Addresses> {
    return this.a(name)
  }
}

const dns = new Zone()
dns
  .set('mail.example.org', 'A 192.0.2.1')
  .set('example.org', 'MX 10 mail.example.org')
  .set('other.example', 'MX 10 mx.elsewhere.example')
  .set('1.2.0.192.in-addr.arpa', 'PTR Mail.Example.Org.')
  .set('2.2.0.192.in-addr.arpa', 'PTR vps-17.provider.example')
  .set('3.2.0.192.in-addr.arpa', 'PTR mail.example.org', 'PTR vps-18.provider.example')
  .set('2.2.0.192.zen.spamhaus.org', 'A 127.0.0.4')
  .set('3.2.0.192.zen.spamhaus.org', 'A 127.255.255.254')
  .setName('trouble.example', { records: [], trouble: true })

const host = 'mail.example.org'

it('compares addresses, their names, exchangers and lists', async () => {
  const verdict = async (checked: Promise<{ readonly verdict: string }>): Promise<string> => (await checked).verdict
  assert.equal(await verdict(compareForward(dns, host, ['192.0.2.1'])), 'right')
  assert.equal(await verdict(compareForward(dns, host, ['192.0.2.9'])), 'wrong')
  assert.equal(await verdict(compareForward(dns, host, [])), 'right')
  assert.equal(await verdict(compareForward(dns, 'nowhere.example', [])), 'absent')
  assert.equal(await verdict(compareForward(dns, 'trouble.example', [])), 'unknown')
  assert.equal(await verdict(compareReverse(dns, '192.0.2.1', host)), 'right')
  assert.equal(await verdict(compareReverse(dns, '192.0.2.2', host)), 'wrong')
  assert.equal(await verdict(compareReverse(dns, '192.0.2.3', host)), 'wrong', 'two names')
  assert.equal(await verdict(compareReverse(dns, '2001:db8::1', host)), 'absent')
  assert.equal(await verdict(compareMx(dns, 'example.org', host)), 'right')
  assert.equal(await verdict(compareMx(dns, 'other.example', host)), 'wrong')
  assert.equal(await verdict(compareListing(dns, '192.0.2.1')), 'right')
  assert.equal(await verdict(compareListing(dns, '192.0.2.2')), 'wrong')
  assert.equal(await verdict(compareListing(dns, '192.0.2.3')), 'unknown', 'the list refuses to answer')
})
