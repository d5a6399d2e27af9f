import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { destination, type Destination, mailAddresses } from './report-destinations.ts'
import type { TextAnswer } from './tree-walk.ts'

type Zone = Readonly<Record<string, string | 'trouble'>>

function found(zone: Zone, domain: string, address: string): Destination {
  const answerTo = (name: string): TextAnswer => {
    const wildcard = Object.keys(zone).find((one) => one.startsWith('*.') && name.endsWith(one.slice(1)))
    const text = zone[name] ?? (wildcard === undefined ? undefined : zone[wildcard])
    if (text === 'trouble') return { kind: 'trouble', why: 'time-out' }
    return text === undefined ? { kind: 'absent' } : { kind: 'found', texts: [text] }
  }
  const steps = destination(domain, address)
  let step = steps.next()
  while (step.done !== true) step = steps.next(answerTo(step.value))
  return step.value
}

describe('who gets a report', () => {
  const policy = { '_dmarc.a.test': 'v=DMARC1; p=none', '_dmarc.other.test': 'v=DMARC1; p=none' }
  const permission = 'a.test._report._dmarc.mx.other.test'

  it('is an address of the domain, or of its organization', () => {
    const wanted = (address: string): Destination => ({ kind: 'wanted', addresses: [address] })
    assert.deepEqual(found({}, 'a.test', 'r@A.test'), wanted('r@A.test'))
    assert.deepEqual(found(policy, 'a.test', 'r@mx.a.test'), wanted('r@mx.a.test'))
    assert.deepEqual(found(policy, 'news.a.test', 'r@mx.a.test'), wanted('r@mx.a.test'))
  })

  it('42: is another, only if he says so; a wildcard says it for all', () => {
    const ask = (zone: Zone): Destination => found({ ...policy, ...zone }, 'a.test', 'r@mx.other.test')
    assert.equal(ask({}).kind, 'unwanted')
    assert.equal(ask({ [permission]: 'hello' }).kind, 'unwanted')
    assert.deepEqual(ask({ [permission]: 'v=DMARC1' }), { kind: 'wanted', addresses: ['r@mx.other.test'] })
    assert.equal(ask({ '*._report._dmarc.mx.other.test': 'v=DMARC1;' }).kind, 'wanted')
    assert.equal(ask({ [permission]: 'trouble' }).kind, 'trouble')
    assert.equal(ask({ '_dmarc.other.test': 'trouble' }).kind, 'trouble')
  })

  it('42: may be another at the same host, and at no other', () => {
    const ask = (rua: string): Destination =>
      found({ ...policy, [permission]: `v=DMARC1; rua=${rua}` }, 'a.test', 'r@mx.other.test')
    assert.deepEqual(ask('mailto:s@mx.other.test'), { kind: 'wanted', addresses: ['s@mx.other.test'] })
    assert.equal(ask('mailto:s@victim.test').kind, 'unwanted')
    assert.equal(ask('mailto:s@mx.other.test,mailto:s@victim.test').kind, 'unwanted')
    assert.equal(ask('https://mx.other.test/').kind, 'unwanted')
  })

  it('is read of a record as it is written; five at most, and what is no plain address never', () => {
    assert.deepEqual(mailAddresses('mailto:a@x.test!10m, MAILTO:b%2Bc@x.test ,https://x.test/,mailto:a@x.test'), [
      'a@x.test',
      'b+c@x.test',
    ])
    for (const evil of [
      'a@x.test%0d%0aBcc:b@y.test',
      'a b@x.test',
      '%',
      '"a"@x.test',
      'a@x',
      'a@[192.0.2.1]',
      '@x.test',
    ])
      assert.deepEqual(mailAddresses(`mailto:${evil}`), [], evil)
    const many = Array.from({ length: 50 }, (_, at) => `mailto:r@v${at}.test`).join(',')
    assert.equal(mailAddresses(many).length, 5)
  })
})
