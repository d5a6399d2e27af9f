import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fakeControl, FakeClock, policyOf } from '#test/kit/smtpd.ts'
import { CdbWriter } from '../../protocols/qmail/cdb.ts'
import { Control } from '../../stores/control/control.ts'
import { isLoopback, peerKey, plainIp } from '../../servers/listener/peer.ts'
import { connectionEnvironment } from './trace.ts'
import { readPolicy } from './policy.ts'
import { PolicySource } from './policy-source.ts'

const home = mkdtempSync(join(tmpdir(), 'quaver-policy-'))
after(() => rmSync(home, { recursive: true }))

test('rcpthosts: names, suffixes, case, morercpthosts only beside rcpthosts', () => {
  const policy = policyOf({
    control: { rcpthosts: 'Lab.Example\n.sub.example\n' },
    moreHosts: new Set(['more.example', '.org']),
  })
  for (const domain of ['LAB.example', 'a.sub.example', 'a.b.sub.example', 'more.example', 'x.org']) {
    assert.equal(policy.isAllowedRecipient(`joe@${domain}`), true, domain)
  }
  for (const domain of ['sub.example', 'x.lab.example', 'x.more.example', 'org', '', 'lab.example.', '[192.0.2.1]']) {
    assert.equal(policy.isAllowedRecipient(`joe@${domain}`), false, domain)
  }
  assert.equal(policy.isAllowedRecipient('joe@far.example@lab.example'), true)
  const closed = policyOf({ control: { rcpthosts: undefined }, moreHosts: new Set(['more.example']) })
  assert.equal(closed.isAllowedRecipient('joe@more.example'), false)
})

test('addresses of this machine become localiphost', () => {
  const policy = policyOf({ control: { localiphost: 'here.example\n' }, localAddresses: ['192.0.2.1'] })
  assert.equal(policy.localized('joe@[192.0.2.1]'), 'joe@here.example')
  assert.equal(policy.localized('joe@[192.0.2.2]'), 'joe@[192.0.2.2]')
  assert.equal(policy.localized('joe'), 'joe')
  assert.equal(policyOf({ control: {} }).localized('joe@[192.0.2.1]'), 'joe@lab.test.example')
  assert.equal(policyOf({ control: { me: undefined } }).localized('joe@[192.0.2.1]'), 'joe@[192.0.2.1]')
})

test('who may relay', () => {
  const relays = (text: string | undefined, ip: string): boolean =>
    policyOf({ control: { relayclients: text } }).mayRelay(ip)
  assert.deepEqual(
    ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'].map((ip) => relays(undefined, ip)),
    Array(4).fill(true),
  )
  assert.deepEqual(
    ['192.0.2.1', '::2', 'unknown', '::ffff:192.0.2.1'].map((ip) => relays(undefined, ip)),
    Array(4).fill(false),
  )
  assert.equal(relays('', '127.0.0.1'), false)
  const text = '192.0.2.0/24\n2001:db8::/32\n198.51.100.7\nnonsense\n'
  assert.deepEqual(
    ['192.0.2.77', '2001:db8::1', '198.51.100.7'].map((ip) => relays(text, ip)),
    Array(3).fill(true),
  )
  assert.deepEqual(
    ['127.0.0.1', '198.51.100.8', '2001:db9::1'].map((ip) => relays(text, ip)),
    Array(3).fill(false),
  )
})

test('a bad line is complained about once and lets nobody in', () => {
  const problems: string[] = []
  const control = fakeControl({ me: 'x\n', relayclients: '0.0.0.0/33\n' })
  const policy = readPolicy(
    control,
    new Set(),
    () => false,
    (problem) => problems.push(problem),
  )
  assert.equal(policy.mayRelay('0.0.0.1'), false)
  assert.equal(problems.length, 1)
})

test('the environment of a connection', () => {
  const peer = { remoteIp: '127.0.0.1', remotePort: 1, localIp: '127.0.0.1', localPort: 25 }
  const policy = policyOf({})
  assert.equal(connectionEnvironment(peer, policy).get('RELAYCLIENT'), '')
  const stranger = connectionEnvironment({ ...peer, remoteIp: '192.0.2.9' }, policy)
  assert.equal(stranger.has('RELAYCLIENT'), false)
  assert.deepEqual([stranger.get('TCPREMOTEIP'), stranger.get('TCPLOCALHOST')], ['192.0.2.9', 'lab.test.example'])
})

test('peers: mapped addresses, loopback, what counts as one', () => {
  assert.equal(plainIp('::ffff:192.0.2.9'), '192.0.2.9')
  assert.equal(plainIp('2001:db8::1'), '2001:db8::1')
  assert.deepEqual(['127.0.0.1', '::1', '192.0.2.1'].map(isLoopback), [true, true, false])
  assert.equal(peerKey('2001:db8::1'), peerKey('2001:db8::ffff:1'))
  assert.notEqual(peerKey('2001:db8::1'), peerKey('2001:db8:0:1::1'))
  assert.notEqual(peerKey('192.0.2.1'), peerKey('192.0.2.2'))
})

test('a changed file counts for the next session; an unusable cdb is told once, and is no “not ours”', () => {
  const directory = join(home, 'control')
  mkdirSync(directory)
  writeFileSync(join(directory, 'me'), 'lab.example\n')
  const clock = new FakeClock()
  clock.time = Date.now()
  const problems: string[] = []
  const source = new PolicySource(new Control(directory, clock), clock, (problem) => problems.push(problem))
  const before = source.current()
  assert.equal(before.isAllowedRecipient('a@lab.example'), false)
  writeFileSync(join(directory, 'rcpthosts'), 'lab.example\n')
  writeFileSync(join(directory, 'morercpthosts.cdb'), 'not a cdb')
  clock.time += 10_000
  assert.equal(source.current().isAllowedRecipient('a@lab.example'), true)
  assert.equal(before.isAllowedRecipient('a@lab.example'), false)
  clock.time += 10_000
  assert.equal(source.current().isAllowedRecipient('a@more.example'), undefined)
  assert.equal(problems.length, 1)
  writeFileSync(join(directory, 'morercpthosts'), 'More.example\n')
  clock.time += 10_000
  assert.equal(source.current().isAllowedRecipient('a@more.example'), true)
  assert.equal(source.current().isAllowedRecipient('a@other.example'), false)
  rmSync(join(directory, 'morercpthosts.cdb'))
  clock.time += 10_000
  assert.equal(source.current().isAllowedRecipient('a@more.example'), true)

  const more = new CdbWriter()
  for (const key of ['more.example', '.deep.example']) more.add(key, '')
  writeFileSync(join(directory, 'morercpthosts.cdb'), more.finish())
  clock.time += 10_000
  const policy = source.current()
  const recipients = ['a@More.example', 'a@x.deep.example', 'a@deep.example']
  assert.deepEqual(
    recipients.map((recipient) => policy.isAllowedRecipient(recipient)),
    [true, true, false],
  )
})
