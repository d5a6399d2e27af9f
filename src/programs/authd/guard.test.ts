import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Clock } from '../../system/clock.ts'
import { LoginGuardStore } from '../../stores/login-guard/login-guard-store.ts'
import { type Entry, LoginGuard } from './guard.ts'
import { locksFrom, knownNetworkMilliseconds, lockMillisecondsMax, lockMillisecondsMin } from './limits.ts'

const anna = 'anna@example.test'

describe('LoginGuard', () => {
  let directory = ''
  let now = 0
  let alerts: string[] = []
  let guard: LoginGuard
  const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => undefined }
  const open = (): LoginGuard => new LoginGuard({ directory, clock, onAlert: (text) => void alerts.push(text) })
  const attempt = (ip: string, account: string, isRight: boolean): Entry => {
    const entry = guard.enter(ip, account)
    if (entry !== 'free') return entry
    if (isRight) guard.succeeded(ip, account)
    else guard.failed(ip, account)
    guard.leave(ip, account)
    return entry
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-guard-'))
    now = Date.UTC(2026, 10, 26)
    alerts = []
    guard = open()
  })
  afterEach(() => {
    guard.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('a thousand guesses from many addresses lock out the guessers, not the owner', () => {
    assert.equal(attempt('192.0.2.7', anna, true), 'free')
    now += 29 * 24 * 3600_000
    const entries = new Map<Entry, number>()
    for (let n = 0; n < 1000; n++) {
      now += 100
      const entry = attempt(`198.51.${n >> 8}.${n & 255}`, anna, false)
      entries.set(entry, (entries.get(entry) ?? 0) + 1)
    }
    // One more each time that a lock has passed.
    assert.ok((entries.get('free') ?? 0) <= locksFrom.account + 3, JSON.stringify([...entries]))
    assert.equal(attempt('203.0.113.9', anna, true), 'account')
    assert.equal(attempt('192.0.2.200', anna, true), 'free', 'the network she is known from')
    assert.equal(attempt('198.51.0.1', 'ben@example.test', true), 'free', 'one guess locks nobody out elsewhere')
  })

  it('tells which accounts are locked, but of no name that is none, however many were guessed', () => {
    const ben = 'ben@example.test'
    attempt('192.0.2.7', ben, true)
    const lock = (name: string, net: number): void => {
      for (let n = 0; n < locksFrom.account; n++) attempt(`198.${net}.${n}.1`, name, false)
    }
    lock(anna, 1)
    lock(ben, 2)
    for (let n = 0; n < 60; n++) lock(`nobody${n}@example.test`, n + 10)
    const told = guard.lockedAccounts((name) => name === anna)
    assert.deepEqual(told.map(({ name, count }) => `${name} ${count}`).sort(), [`${anna} 20`, `${ben} 20`])
    now += lockMillisecondsMax
    assert.equal(guard.lockedAccounts(() => true).length, 0)
  })

  it('a clock that is set back locks nobody out for longer than the limit', () => {
    const year = 365 * 24 * 3600_000
    now += year
    for (let n = 0; n < locksFrom.peer + 20; n++) {
      attempt('192.0.2.1', anna, false)
      now += lockMillisecondsMax
    }
    assert.equal(attempt('203.0.113.9', 'ben@example.test', true), 'free')
    now -= lockMillisecondsMax
    assert.equal(attempt('192.0.2.1', anna, true), 'peer')
    now -= year
    for (const row of guard.list()) assert.ok(row.untilMs <= now + lockMillisecondsMax && row.lastMs <= now)
    assert.equal(attempt('192.0.2.1', anna, true), 'peer')
    assert.equal(guard.isKnown('203.0.113.9', 'ben@example.test'), true)
    now += lockMillisecondsMax + 1
    assert.equal(attempt('192.0.2.1', anna, true), 'free')
    now += knownNetworkMilliseconds
    assert.equal(guard.isKnown('203.0.113.9', 'ben@example.test'), false)
  })

  it('a peer is locked, twice as long after each failure, for every account', () => {
    for (let n = 0; n < locksFrom.peer; n++) assert.equal(attempt('2001:db8:1:2::5', `user${n}`, false), 'free')
    let lock = lockMillisecondsMin
    for (let n = 0; n < 20; n++) {
      assert.equal(attempt('2001:db8:1:2:ffff::9', anna, true), 'peer')
      assert.equal(attempt('2001:db8:1:3::9', anna, false), n < locksFrom.account ? 'free' : 'account')
      guard.forgive('2001:db8:1:3::1')
      guard.forgive(anna)
      now += lock - 1
      assert.equal(attempt('2001:db8:1:2::5', 'x', false), 'peer')
      now += 1
      assert.equal(attempt('2001:db8:1:2::5', 'x', false), 'free')
      lock = Math.min(2 * lock, lockMillisecondsMax)
    }
    assert.equal(lock, lockMillisecondsMax)
  })

  it('names that are no accounts are locked in the same way', () => {
    for (let n = 0; n < locksFrom.account; n++) attempt(`192.0.${n}.1`, 'nobody@example.test', false)
    assert.equal(guard.enter('198.51.100.1', 'nobody@example.test'), 'account')
  })

  it('a restart changes nothing; a day without failures does', () => {
    for (let n = 0; n < locksFrom.peer; n++) attempt('192.0.2.1', anna, false)
    guard.close()
    guard = open()
    assert.equal(guard.enter('192.0.2.1', anna), 'peer')
    now += 25 * 3600_000
    assert.deepEqual(guard.list(), [])
    assert.equal(attempt('192.0.2.1', anna, false), 'free')
    assert.equal(guard.list().find(({ subject }) => subject === 'peer')?.count, 1)
  })

  it('a network is forgotten after a month', () => {
    attempt('192.0.2.7', anna, true)
    for (let n = 0; n < locksFrom.account; n++) attempt(`198.51.${n}.1`, anna, false)
    assert.equal(attempt('192.0.2.8', anna, false), 'free')
    now += knownNetworkMilliseconds
    for (let n = 0; n < locksFrom.account; n++) attempt(`198.52.${n}.1`, anna, false)
    assert.equal(attempt('192.0.2.8', anna, false), 'account')
  })

  it('who mistyped his own password is forgiven; who guesses others’ beside his own is not', () => {
    for (let n = 1; n < locksFrom.peer; n++) attempt('192.0.2.1', anna, false)
    attempt('192.0.2.1', anna, true)
    assert.equal(guard.list().filter(({ subject }) => subject === 'peer').length, 0)
    for (let n = 0; n < locksFrom.peer; n++) {
      attempt('192.0.2.1', n === 0 ? 'mallory@example.test' : anna, n === 5)
      attempt('192.0.2.1', 'ben@example.test', false)
    }
    assert.equal(guard.enter('192.0.2.1', 'ben@example.test'), 'peer')
  })

  it('passwords under check are bounded, most of all where there are failures already', () => {
    for (let n = 0; n < 64; n++) assert.equal(guard.enter('192.0.2.1', `user${n}`), 'free')
    assert.equal(guard.enter('192.0.2.1', anna), 'busy')
    for (let n = 0; n < 64; n++) guard.leave('192.0.2.1', `user${n}`)
    for (let n = 0; n < locksFrom.peer; n++) attempt('192.0.2.1', anna, false)
    now += lockMillisecondsMin
    assert.equal(guard.enter('192.0.2.1', anna), 'free')
    assert.equal(guard.enter('192.0.2.1', anna), 'busy')
  })

  it('a peer whose failures were all for one account is locked for that, until it tries another', () => {
    for (let n = 0; n < locksFrom.peer; n++) attempt('192.0.2.1', anna, false)
    assert.equal(guard.enter('192.0.2.1', anna), 'peer')
    assert.equal(attempt('192.0.2.1', 'ben@example.test', true), 'free')
    assert.equal(attempt('192.0.2.1', 'carol@example.test', false), 'free')
    for (const name of ['carol', 'ben', 'dora']) assert.equal(guard.enter('192.0.2.1', `${name}@example.test`), 'peer')
  })

  it('failures without a name count against the peer alone', () => {
    for (let n = 0; n < locksFrom.account; n++) attempt(`192.0.${n}.1`, '', false)
    assert.deepEqual([...new Set(guard.list().map(({ subject }) => subject))], ['peer'])
    assert.equal(attempt('198.51.100.1', '', false), 'free')
  })

  it('an administrator forgives an address or an account', () => {
    for (let n = 0; n < locksFrom.account; n++) attempt('192.0.2.1', anna, false)
    assert.equal(guard.forgive('192.0.2.1'), true)
    assert.equal(guard.forgive('192.0.2.1'), false)
    for (let n = 0; n < locksFrom.account; n++) attempt(`192.0.2.${n}`, anna, false)
    assert.equal(guard.enter('198.51.100.1', anna), 'account')
    assert.equal(guard.forgive(anna), true)
    assert.equal(guard.enter('198.51.100.1', anna), 'free')
  })

  it('whatever a front calls an address, it is counted', () => {
    for (const ip of ['fe80::1%eth0', '::ffff:192.0.2.1', '', 'x', '1', '::', '999.1.1.1', '%', 'a'.repeat(64)]) {
      for (let n = 0; n < locksFrom.peer; n++) attempt(ip, `user${n}`, false)
      assert.equal(guard.enter(ip, anna), 'peer', ip)
    }
    assert.equal(guard.enter('192.0.2.1', anna), 'peer', 'IPv4 in IPv6 is IPv4')
    assert.equal(guard.enter('fe80::2', anna), 'peer')
    assert.equal(guard.forgive('fe80::9'), true)
  })

  it('a damaged file is set aside, and counting goes on', () => {
    guard.close()
    writeFileSync(join(directory, 'guard.sqlite'), 'no database, but longer than its header would be'.repeat(200))
    guard = open()
    assert.match(alerts.join(), /guard\.sqlite.*set aside as .*guard\.sqlite\.damaged/)
    assert.ok(existsSync(join(directory, 'guard.sqlite.damaged')))
    for (let n = 0; n < locksFrom.peer; n++) attempt('192.0.2.1', anna, false)
    assert.equal(guard.enter('192.0.2.1', anna), 'peer')
  })

  it('no disk: counting goes on in memory', () => {
    guard.close()
    rmSync(directory, { recursive: true, force: true })
    guard = open()
    assert.match(alerts.join(), /counted in memory/)
    for (let n = 0; n < locksFrom.peer; n++) attempt('192.0.2.1', anna, false)
    assert.equal(guard.enter('192.0.2.1', anna), 'peer')
  })
})

describe('LoginGuardStore', () => {
  it('keeps within its rows, and expires the old', () => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-guard-'))
    const store = LoginGuardStore.open(directory, () => undefined, 100)
    const row = { count: 1, untilMs: 0, only: '' }
    for (let n = 0; n < 1000; n++) store.setFailures('peer', `p${n}`, { ...row, lastMs: n })
    const left = store.list(10_000)
    assert.ok(left.length <= 600)
    assert.equal(left[0]?.name, 'p999')
    while (store.expire(990, 0));
    assert.deepEqual(
      store.list(100).map(({ lastMs }) => lastMs),
      [999, 998, 997, 996, 995, 994, 993, 992, 991, 990],
    )
    store.close()
    rmSync(directory, { recursive: true, force: true })
  })
})
