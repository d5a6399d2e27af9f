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
