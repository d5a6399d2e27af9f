import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import type { SessionPeer } from '../../contracts/sessions.ts'
import { ticketMilliseconds, Tickets, ticketsMax } from './tickets.ts'

const peer: SessionPeer = { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 4711 }
const account = { account: 'anna@lab.example', holder: { kind: 'account' } as const, peer }
const one = '1'.repeat(32)
const two = '2'.repeat(32)

function tickets() {
  const clock = new FakeClock()
  return { clock, tickets: new Tickets(clock) }
}

describe('tickets', () => {
  it('are good once', () => {
    const { tickets: ours } = tickets()
    assert.ok(ours.add(one, account))
    assert.equal(ours.present(two, peer), undefined)
    assert.equal(ours.present(one, peer)?.account, 'anna@lab.example')
    assert.equal(ours.present(one, peer), undefined)
  })

  it('are not told twice', () => {
    const { tickets: ours } = tickets()
    assert.ok(ours.add(one, account))
    assert.ok(!ours.add(one, { ...account, account: 'bob@lab.example' }))
    assert.equal(ours.present(one, peer)?.account, 'anna@lab.example')
    assert.ok(!ours.add(one, account))
  })

  for (const other of [
    { ...peer, service: 'submission' } as const,
    { ...peer, remoteIp: '192.0.2.2' },
    { ...peer, remotePort: 4712 },
  ]) {
    it(`are lost when ${other.service} from ${other.remoteIp}:${other.remotePort} shows another’s`, () => {
      const { tickets: ours } = tickets()
      ours.add(one, account)
      assert.equal(ours.present(one, other), undefined)
      assert.equal(ours.present(one, peer), undefined)
    })
  }

  it('live half a minute, also when they were spent', () => {
    const { tickets: ours, clock } = tickets()
    ours.add(one, account)
    clock.advance(ticketMilliseconds - 1)
    ours.add(two, account)
    assert.ok(ours.present(one, peer) !== undefined)
    ours.spent(one, () => true)
    clock.advance(1)
    assert.equal(ours.present(one, peer), undefined)
    assert.ok(ours.present(two, peer) !== undefined)
    assert.ok(ours.add(one, account))
  })

  it('are good again when the process to which they led has gone, once for each', () => {
    const { tickets: ours } = tickets()
    let isGone = false
    ours.add(one, account)
    assert.ok(ours.present(one, peer) !== undefined)
    ours.spent(one, () => isGone)
    assert.equal(ours.present(one, peer), undefined)
    isGone = true
    assert.ok(ours.present(one, peer) !== undefined)
    assert.equal(ours.present(one, peer), undefined)
  })

  it('of an account that was revoked lead nowhere, also while they are on their way', () => {
    const { tickets: ours } = tickets()
    ours.add(one, account)
    ours.add(two, { ...account, account: 'other@lab.test' })
    assert.ok(ours.present(one, peer) !== undefined)
    ours.revoke(account.account)
    assert.equal(
      ours.spent(one, () => false),
      false,
    )
    assert.equal(ours.present(one, peer), undefined)
    assert.ok(ours.present(two, peer) !== undefined)
    assert.equal(
      ours.spent(two, () => false),
      true,
    )
  })

  it('are bounded; room comes with time', () => {
    const { tickets: ours, clock } = tickets()
    const name = (n: number): string => String(n).padStart(32, '0')
    for (let n = 0; n < ticketsMax; n++) assert.ok(ours.add(name(n), account))
    assert.ok(!ours.add(one, account))
    assert.ok(ours.present(name(0), peer) !== undefined)
    assert.ok(!ours.add(one, account))
    clock.advance(ticketMilliseconds)
    assert.ok(ours.add(one, account))
  })
})
