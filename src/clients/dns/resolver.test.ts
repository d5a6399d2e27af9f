import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { DnsServer } from '#test/kit/dns-server.ts'
import { type Clock, realClock } from '../../system/clock.ts'
import { SystemDns } from './resolver.ts'

/** Real time limits, and a time that the test sets. */
async function world(t: TestContext): Promise<{ server: DnsServer; dns: SystemDns; wait: (seconds: number) => void }> {
  const server = await DnsServer.listen()
  t.after(() => server.close())
  let time = 1_000_000
  const clock: Clock = { now: () => time, monotonic: () => time, after: (ms, act) => realClock.after(ms, act) }
  return { server, dns: new SystemDns(clock, [server.server]), wait: (seconds) => void (time += seconds * 1000) }
}

test('addresses are kept for their TTL, and no longer', async (t) => {
  const { server, dns, wait } = await world(t)
  server.ttlSeconds = 600
  server.set('a.test', 'A 192.0.2.1')
  for (const seconds of [0, 599, 1]) {
    wait(seconds)
    assert.deepEqual((await dns.a('a.test')).kind, 'found')
  }
  assert.equal(server.questions.length, 2)
})

test('a TTL of a day is cut to an hour', async (t) => {
  const { server, dns, wait } = await world(t)
  server.ttlSeconds = 86_400
  server.set('a.test', 'A 192.0.2.1')
  const first = await dns.a('a.test')
  assert.equal(first.freshUntil, 1_000_000 + 3_600_000)
  wait(3_601)
  await dns.a('a.test')
  assert.equal(server.questions.length, 2)
})

test('a TTL of nothing is not kept; who asks at the same time shares the answer', async (t) => {
  const { server, dns } = await world(t)
  server.ttlSeconds = 0
  server.set('a.test', 'A 192.0.2.1')
  await Promise.all([dns.a('a.test'), dns.a('a.test')])
  assert.equal(server.questions.length, 1)
  await dns.a('a.test')
  assert.equal(server.questions.length, 2)
})

test('of what has no address to tell a TTL of, a minute; trouble is forgotten sooner', async (t) => {
  const { server, dns, wait } = await world(t)
  server.set('text.test', 'TXT v=spf1 -all').setFate('broken.test', 'SERVFAIL')
  const ask = async (): Promise<string[]> => [
    (await dns.txt('text.test')).kind,
    (await dns.a('absent.test')).kind,
    (await dns.a('broken.test')).kind,
  ]
  assert.deepEqual(await ask(), ['found', 'hard', 'soft'])
  const asked = (name: string): number => server.questions.filter((question) => question.includes(name)).length
  wait(6)
  await ask()
  assert.deepEqual([asked('text.test'), asked('absent.test')], [1, 1])
  assert.ok(asked('broken.test') >= 2)
  wait(60)
  await ask()
  assert.deepEqual([asked('text.test'), asked('absent.test')], [2, 2])
})

test('a name server that is not there is a trouble until one answers; that a zone is broken is none', async (t) => {
  const { server, dns } = await world(t)
  server.setFate('broken.test', 'SERVFAIL')
  for (const type of ['a', 'aaaa', 'mx'] as const) await dns[type]('broken.test')
  assert.deepEqual(dns.troubles(), [])
  // Nobody listens there.
  const away = new SystemDns(realClock, ['127.0.0.1:1'], { queryMilliseconds: 500, triesMax: 1 })
  await away.a('a.test')
  assert.deepEqual(away.troubles(), [])
  await away.mx('a.test')
  const [trouble] = away.troubles()
  assert.deepEqual([trouble?.kind, trouble?.where], ['name-server', '127.0.0.1:1'])
})

const mxTest = 'mx.signed.test'

function believing(server: DnsServer): SystemDns {
  return new SystemDns(realClock, [server.server], { queryMilliseconds: 500, triesMax: 1 }, () => true)
}

test('answers of a name server that is believed say whether they are verified', async (t) => {
  const { server } = await world(t)
  server.signed.add('signed.test')
  server.set('signed.test', `MX 20 b.${mxTest}`, `MX 10 ${mxTest}`)
  server.set(mxTest, 'A 192.0.2.1').set('alias.signed.test', `CNAME ${mxTest}`).set('plain.test', 'A 192.0.2.2')
  server.set(`_25._tcp.${mxTest}`, 'TLSA 3 1 1 0a0b')
  const dns = believing(server)
  const exchangers = await dns.mx('signed.test')
  assert.deepEqual(exchangers.kind === 'found' && [exchangers.values[0]?.name, exchangers.isSecure], [mxTest, true])
  const addresses = await dns.addresses('alias.signed.test')
  assert.deepEqual(addresses.kind === 'found' && addresses.values, ['192.0.2.1'])
  assert.deepEqual([addresses.isSecure, addresses.canonicalName], [true, mxTest])
  const plain = await dns.addresses('plain.test')
  assert.deepEqual([plain.kind, plain.isSecure], ['found', undefined])
  const tlsa = await dns.tlsa(`_25._tcp.${mxTest}`)
  const record = { usage: 3, selector: 1, matching: 1, data: Uint8Array.of(10, 11) }
  assert.deepEqual(tlsa.kind === 'found' && [tlsa.values, tlsa.isSecure], [[record], true])
  const nothing = await dns.tlsa('_25._tcp.none.signed.test')
  assert.deepEqual([nothing.kind, nothing.isSecure], ['hard', true])
})

test('nobody believes a server for the bit that it sets', async (t) => {
  const { server, dns } = await world(t)
  server.signed.add('signed.test')
  server.set('signed.test', `MX 10 ${mxTest}`).set(`_25._tcp.${mxTest}`, 'TLSA 3 1 1 0a0b')
  assert.equal((await dns.mx('signed.test')).isSecure, undefined)
  assert.equal((await dns.tlsa(`_25._tcp.${mxTest}`)).isSecure, undefined)
})

test('what is cut comes by TCP; trouble and rubbish are soft, and what is not there is not', async (t) => {
  const { server } = await world(t)
  const many = Array.from({ length: 40 }, (_, n) => `MX ${n} exchanger-${n}.signed.test`)
  server.set('many.test', ...many).set('empty.test', 'TXT x')
  server.setFate('broken.test', 'SERVFAIL').setFate('odd.test', 'malformed').setFate('no.test', 'REFUSED')
  const dns = believing(server)
  const found = await dns.mx('many.test')
  assert.equal(found.kind === 'found' && found.values.length, 40)
  assert.deepEqual(server.questions.slice(-2), ['udp many.test MX', 'tcp many.test MX'])
  const kinds = ['broken.test', 'odd.test', 'no.test', 'empty.test', 'absent.test'].map((name) => dns.mx(name))
  assert.deepEqual(
    (await Promise.all(kinds)).map(({ kind }) => kind),
    ['soft', 'soft', 'soft', 'none', 'hard'],
  )
  assert.deepEqual(dns.troubles(), [])
})

test('a believed name server that is not there is a trouble, and the next one is asked', async (t) => {
  const { server } = await world(t)
  server.set('a.test', 'MX 1 b.test')
  const limits = { queryMilliseconds: 300, triesMax: 1 }
  const two = new SystemDns(realClock, ['127.0.0.1:1', server.server], limits, () => true)
  assert.equal((await two.mx('a.test')).kind, 'found')
  const away = new SystemDns(realClock, ['127.0.0.1:1'], limits, () => true)
  for (const name of ['a.test', 'b.test']) assert.equal((await away.mx(name)).kind, 'soft')
  assert.deepEqual(
    away.troubles().map(({ kind }) => kind),
    ['name-server'],
  )
})
