/** Before a session begins: rules, the greeting's delay, PROXY headers, haste, and the lines that tell of it. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { BareClient, type ListenerSetting, SmtpServer } from '#test/kit/smtpd-server.ts'
import { FakeClock, type World } from '#test/kit/smtpd.ts'
import { parseRules } from '../../protocols/qmail/tcprules.ts'
import { cdbOf } from '../../stores/tcprules/compile.ts'
import { openRules, type Rules } from '../../stores/tcprules/rules-file.ts'
import { greetDelay } from '../../servers/listener/admission.ts'
import { ConnectionCounts, type Place } from '../../servers/listener/connection-counts.ts'
import { ConnectionLog } from '../../servers/listener/connection-log.ts'
import { DelayWheel } from '../../servers/listener/delay-wheel.ts'
import { limits } from './limits.ts'

function rulesOf(text: string): Rules {
  return { kind: 'rules', base: openRules(cdbOf(parseRules(text))), name: 'control/tcprules/smtp' }
}

const proxied = (ip: string): string => `PROXY TCP4 ${ip} 198.51.100.1 40000 25\r\n`
const fromProxies: ListenerSetting = { isProxy: (ip) => ip.startsWith('127.') }

async function serve(
  t: TestContext,
  listener: ListenerSetting,
  world?: World,
): Promise<{ server: SmtpServer; port: number }> {
  const server = new SmtpServer(world, undefined, undefined, listener)
  t.after(() => server.stop())
  return { server, port: await server.listen() }
}

/** The log without its numbers of ports. */
function lines(server: SmtpServer): string[] {
  return server.log.map((line) => line.replace(/:\d{5}(?=\s|$)/g, ':P').replace(/:\d+ :/, ':P :'))
}

async function allClosed(server: SmtpServer): Promise<void> {
  while (server.connections.size > 0) await new Promise((resolve) => setImmediate(resolve))
}

test('loopback is greeted at once, and its lines are tcpserver’s', async (t) => {
  const { server, port } = await serve(t, { rules: rulesOf('127.:allow,RELAYCLIENT=""\n:allow,GREETDELAY="50"') })
  const client = BareClient.to(port)
  await client.until(/^220 /, 1500)
  client.say('QUIT\r\n')
  await client.untilClosed()
  await allClosed(server)
  assert.deepEqual(lines(server), [
    'status: 1/1000',
    'pid 1 from 127.0.0.1',
    'ok 1 lab.test.example:127.0.0.1:P :127.0.0.1::P',
    'end 1 status 0',
    'status: 0/1000',
  ])
})

test('a stranger hears nothing for GREETDELAY seconds, then the greeting', async (t) => {
  const { port } = await serve(t, { ...fromProxies, rules: { kind: 'absent' } })
  const client = BareClient.to(port)
  const began = performance.now()
  client.say(proxied('192.0.2.9'))
  await client.until(/^220 /, 10_000)
  assert.ok(performance.now() - began >= 2000)
})

test('who talks during the delay is refused, by name', async (t) => {
  const { server, port } = await serve(t, { rules: rulesOf(':allow,GREETDELAY="50"') })
  const client = BareClient.to(port)
  client.say('E')
  assert.equal(await client.untilClosed(), '554 smtp protocol violation (#5.5.1)\r\n')
  assert.ok(server.log.includes('refused 127.0.0.1 early-talker:'))
})

test('who is asked about first waits in silence, and what was said meanwhile was too early', async (t) => {
  const { server, port } = await serve(t, { rules: { kind: 'absent' }, ask: () => pause(300) })
  const patient = BareClient.to(port)
  await patient.until(/^220 /)
  const hasty = BareClient.to(port)
  hasty.say('EHLO x\r\n')
  assert.equal(await hasty.untilClosed(), '554 smtp protocol violation (#5.5.1)\r\n')
  assert.ok(server.log.includes('refused 127.0.0.1 early-talker:'))
})

test('who leaves, or is left, while somebody is asked about them gives the place back', async (t) => {
  const { server, port } = await serve(t, { rules: { kind: 'absent' }, ask: () => new Promise(() => undefined) })
  const leaving = BareClient.to(port)
  while (server.connections.size === 0) await pause(10)
  leaving.reset()
  await allClosed(server)
  assert.deepEqual(lines(server).slice(-2), ['end 1 status 28416', 'status: 0/1000'])
  const waiting = BareClient.to(port)
  while (server.connections.size === 0) await pause(10)
  await server.stop()
  assert.match(await waiting.untilClosed(), /^421 /)
})

test('GREETDELAY: seconds, cut; nothing for relay clients', () => {
  const delay = (variables: Record<string, string>): number => greetDelay(new Map(Object.entries(variables)), 60)
  assert.equal(delay({ GREETDELAY: '2' }), 2000)
  assert.equal(delay({ GREETDELAY: '2', RELAYCLIENT: '' }), 0)
  assert.equal(delay({ GREETDELAY: '0' }), 0)
  assert.equal(delay({ GREETDELAY: '86400' }), 60_000)
  assert.deepEqual([delay({}), delay({ GREETDELAY: '' }), delay({ GREETDELAY: '-1' })], [0, 0, 0])
})

test('deny closes without a word', async (t) => {
  const { server, port } = await serve(t, { rules: rulesOf('127.:deny') })
  assert.equal(await BareClient.to(port).untilClosed(), '')
  assert.deepEqual(lines(server).slice(2, 4), [
    'deny 1 lab.test.example:127.0.0.1:P :127.0.0.1::P',
    'end 1 status 25600',
  ])
})

test('rules that cannot be read let nobody in, for now', async (t) => {
  const { server, port } = await serve(t, { rules: { kind: 'broken', problem: 'no cdb' } })
  assert.equal(await BareClient.to(port).untilClosed(), '421 unable to read controls (#4.3.0)\r\n')
  assert.ok(server.log.includes('refused 127.0.0.1 tcprules: no cdb'))
})

test('the announced peer is who rules, log and session see', async (t) => {
  const { server, port } = await serve(t, { ...fromProxies, rules: rulesOf('192.0.2.9:allow,RELAYCLIENT=""\n:deny') })
  const client = BareClient.to(port)
  for (const part of ['PRO', proxied('192.0.2.9').slice(3)]) client.say(part)
  await client.until(/^220 /)
  client.say('MAIL FROM:<a@b>\r\nRCPT TO:<x@elsewhere.example>\r\nDATA\r\n\r\nhello\r\n.\r\nQUIT\r\n')
  assert.match(await client.untilClosed(), /250 ok \d+ qp/)
  assert.match(server.enqueuer.taken[0]?.content ?? '', /^Received: from unknown \(192\.0\.2\.9\)/)
  assert.ok(server.log.includes('ok 1 lab.test.example:198.51.100.1:25 :192.0.2.9::40000'))
  const denied = BareClient.to(port)
  denied.say(proxied('192.0.2.10'))
  assert.equal(await denied.untilClosed(), '')
})

test('a proxy that speaks for itself, one that gives no header, and one that brings an early talker', async (t) => {
  const { server, port } = await serve(t, fromProxies)
  const own = BareClient.to(port)
  own.say('PROXY UNKNOWN\r\n')
  await own.until(/^220 /)
  const bare = BareClient.to(port)
  bare.say('EHLO x\r\n')
  assert.equal(await bare.untilClosed(), '')
  assert.ok(server.log.includes('refused 127.0.0.1 proxy-header-is-not-there:'))
  const early = BareClient.to(port)
  early.say(`${proxied('192.0.2.9')}EHLO x\r\n`)
  assert.match(await early.untilClosed(), /^554 smtp protocol violation/)
  assert.ok(server.log.includes('refused 192.0.2.9 early-talker:'))
})

test('a proxy has so long for its header', async (t) => {
  const { server, port } = await serve(t, fromProxies, { limits: { proxyHeaderMillisecondsMax: 10 } })
  const client = BareClient.to(port)
  client.say('PROXY TCP4 ')
  assert.equal(await client.untilClosed(), '')
  await allClosed(server)
  assert.ok(server.log.includes('refused 127.0.0.1 proxy-timeout:'))
})

test('from a peer that is no listed proxy a header is early talk', async (t) => {
  const { port } = await serve(t, { isProxy: () => false })
  const client = BareClient.to(port)
  client.say(proxied('127.0.0.1'))
  assert.match(await client.untilClosed(), /^554 smtp protocol violation/)
})

test('limits count the announced peer, not the proxy', async (t) => {
  const { port } = await serve(t, fromProxies, { limits: { connectionsPerPeerMax: 1 } })
  const first = BareClient.to(port)
  first.say(proxied('192.0.2.9'))
  await first.until(/^220 /)
  const second = BareClient.to(port)
  second.say(proxied('192.0.2.9'))
  assert.match(await second.untilClosed(), /^421 too many connections from your address/)
  const other = BareClient.to(port)
  other.say(proxied('192.0.2.10'))
  await other.until(/^220 /)
})

test('haste: so many in a minute from one address, told once', () => {
  const clock = new FakeClock()
  const counts = new ConnectionCounts({ ...limits, connectionsPerMinuteMax: 3 }, clock)
  const comeAndGo = (ip: string): boolean | undefined => {
    const place = counts.enter(ip)
    if ('refusal' in place) return place.first
    place.leave()
    return undefined
  }
  const outcomes = [1, 2, 3, 4, 5].map(() => comeAndGo('192.0.2.9'))
  assert.deepEqual(outcomes, [undefined, undefined, undefined, true, false])
  assert.equal(comeAndGo('192.0.2.10'), undefined)
  for (let n = 0; n < 9; n++) assert.equal(comeAndGo('127.0.0.1'), undefined)
  clock.advance(60_000)
  assert.equal(comeAndGo('192.0.2.9'), undefined)
})

test('when all places are taken, a network that holds fewer gets one of that which holds most', () => {
  const counts = new ConnectionCounts(
    { ...limits, connectionsMax: 6, connectionsPerPeerMax: 3, leavingMax: 1 },
    new FakeClock(),
  )
  const asked: string[] = []
  const come = (ip: string, isEngaged = false): Place | undefined => {
    const place = counts.enter(ip)
    if ('refusal' in place) return undefined
    place.holder = { isEngaged, giveUp: (how) => void asked.push(`${ip} ${how}`) }
    return place
  }
  const first = come('192.0.2.1', true)
  for (const ip of ['192.0.2.2', '192.0.2.3', '192.0.2.3', '2001:db8:1::1', '2001:db8:1:2::1']) assert.ok(come(ip), ip)
  assert.equal(come('192.0.2.9'), undefined, 'it holds most itself')
  assert.ok(come('198.51.100.1'))
  assert.deepEqual(asked, ['192.0.2.2 politely'])
  assert.equal(come('2001:db8:1:3::1'), undefined, 'it would hold as many as the other has left')
  assert.ok(come('203.0.113.1'))
  assert.deepEqual(asked.slice(1), ['192.0.2.3 at-once'])
  first?.leave()
  first?.leave()
  assert.ok(come('192.0.2.1'))
  assert.equal(come('192.0.2.1'), undefined)
})

test('the wheel calls nobody early, with one timer for all', () => {
  const clock = new FakeClock()
  const wheel = new DelayWheel(clock)
  const called: number[] = []
  for (const milliseconds of [2000, 250, 2000]) wheel.after(milliseconds, () => called.push(milliseconds))
  const began = clock.time
  while (called.length < 3 && clock.time - began < 5000) {
    clock.advance(50)
    assert.ok(clock.waiting <= 1)
    for (const milliseconds of called) assert.ok(clock.time - began >= milliseconds)
  }
  assert.deepEqual(called, [250, 2000, 2000])
  assert.ok(clock.time - began <= 2200)
  assert.equal(clock.waiting, 0)
})

test('what a peer’s name says cannot forge a line', () => {
  const said: string[] = []
  const log = new ConnectionLog((line) => said.push(line), 10)
  const peer = { remoteIp: '2001:db8::9', remotePort: 1, localIp: '::1', localPort: 25 }
  const evil = `a:b%c\nok 2 ${'x'.repeat(200)}`
  log.decided(
    'ok',
    1,
    peer,
    new Map([
      ['TCPREMOTEHOST', evil],
      ['TCPREMOTEINFO', 'j\xe9'],
      ['TCPLOCALHOST', 'me'],
    ]),
  )
  assert.equal(said[0], `ok 1 me:::1:25 a?b?c?ok?2?${'x'.repeat(89)}:2001:db8::9:j?:1`)
})
