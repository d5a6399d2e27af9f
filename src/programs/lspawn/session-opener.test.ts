import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import type { SessionGrant } from '../../contracts/assign.ts'
import type { OpenReply, SessionPeer } from '../../contracts/sessions.ts'
import { parseList, parseMap } from '../../protocols/qmail/control-format.ts'
import { type RoutingTables } from '../../protocols/qmail/routing.ts'
import type { UserRecord } from '../../protocols/qmail/users-lookup.ts'
import { lspawnStatuses } from '../../protocols/qmail/delivery-status.ts'
import type { Lookup } from '../../stores/users/lookup-user.ts'
import { realRandom } from '../../system/random.ts'
import type { OpenedSession } from './locals.ts'
import { SessionOpener } from './session-opener.ts'
import { type Holder, ticketMilliseconds, Tickets } from './tickets.ts'

const peer: SessionPeer = { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 4711 }
const ticket = 't'.repeat(32)
const exact = { uid: 1001, gid: 101, dash: '', ext: '' }

/** As users/assign and the machine's accounts would have it. */
const users: Readonly<Record<string, UserRecord>> = {
  'lab.example-anna': { ...exact, user: 'anna', home: '/mail/anna' },
  'lab.example-anna-list': { ...exact, user: 'anna', home: '/mail/anna', dash: '-', ext: 'list' },
  // A wildcard line with an empty dash: what follows the name is an extension all the same.
  'lab.example-wild': { ...exact, user: 'wild', home: '/mail/wild', ext: 'wild' },
  'lab.example-other': { ...exact, user: 'alias', home: '/alias', dash: '-', ext: 'lab.example-other' },
  'lab.example-boss': { ...exact, user: 'root', home: '/root', uid: 0 },
  joe: { ...exact, user: 'joe', home: '/home/joe' },
}

const tables: RoutingTables = {
  envnoathost: 'host.example',
  locals: new Set(parseList('host.example\n')),
  percenthack: new Set(),
  virtualdomains: parseMap('lab.example:lab.example\n'),
}

interface World {
  readonly holder?: Holder
  readonly account?: string
  readonly noTables?: boolean
  readonly lookup?: Lookup
  readonly session?: () => Promise<OpenedSession | undefined>
  readonly rootMayReceive?: boolean
}

function world({ holder = { kind: 'account' }, account = 'anna@lab.example', ...more }: World = {}) {
  const clock = new FakeClock()
  const tickets = new Tickets(clock)
  const log: string[] = []
  const granted: [number, number, SessionGrant][] = []
  const opener = new SessionOpener({
    tickets,
    clock,
    log: (line) => log.push(line),
    random: realRandom,
    rootMayReceive: more.rootMayReceive ?? false,
    tables: () => (more.noTables === true ? undefined : tables),
    users: {
      lookup(local) {
        const record = users[local]
        const nobody: Lookup = { kind: 'failed', failure: lspawnStatuses.noAlias, reason: '' }
        return Promise.resolve(more.lookup ?? (record === undefined ? nobody : { kind: 'user', record }))
      },
    },
    locals: {
      sessionFor(uid, gid, grant) {
        granted.push([uid, gid, grant])
        return more.session?.() ?? Promise.resolve({ path: '/run/1.sock', isGone: () => false })
      },
    },
  })
  clock.advance(ticketMilliseconds)
  tickets.add(ticket, { account, holder, peer })
  const open = (shown = ticket, by: SessionPeer = peer): Promise<OpenReply> =>
    opener.open({ ref: 7, ticket: shown, peer: by })
  return { open, log, granted, clock }
}

const refused = (why: string) => ({ kind: 'refused', ref: 7, why })

describe('session opener', () => {
  it('leads a ticket to the process of the account’s uid, with a token that only that process is told', async () => {
    const { open, granted } = world()
    const reply = await open()
    assert.ok(reply.kind === 'opened')
    assert.equal(reply.path, '/run/1.sock')
    assert.equal(reply.token.length, 32)
    assert.notEqual(reply.token, ticket)
    const grant = { token: reply.token, account: 'anna@lab.example', user: 'anna', home: '/mail/anna', peer }
    assert.deepEqual(granted, [[1001, 101, grant]])
  })

  it('a user of the machine has a mailbox, by its name alone or at this host', async () => {
    for (const account of ['joe', 'joe@host.example']) {
      const { open, granted } = world({ account })
      assert.equal((await open()).kind, 'opened')
      assert.equal(granted[0]?.[2].home, '/home/joe')
    }
  })

  it('no mailbox: an extension, what falls to the alias account, another host, uid 0, nobody', async () => {
    const accounts = ['anna-list@lab.example', 'wild@lab.example', 'other@lab.example', 'anna@elsewhere.example']
    for (const account of [...accounts, 'boss@lab.example', 'nobody@lab.example']) {
      const { open, granted } = world({ account })
      const why = account.startsWith('nobody') ? 'temporary' : 'no-mailbox'
      assert.deepEqual(await open(), refused(why), account)
      assert.equal(granted.length, 0)
    }
  })

  it('a user that a password program has shown is that user, whatever the name; but not root', async () => {
    const shown = { kind: 'user', user: 'joe', uid: 1002, gid: 102, home: '/home/joe' } as const
    const { open, granted } = world({ holder: shown, account: 'anything' })
    assert.equal((await open()).kind, 'opened')
    assert.deepEqual(granted[0]?.slice(0, 2), [1002, 102])
    assert.deepEqual(await world({ holder: { ...shown, uid: 0 } }).open(), refused('no-mailbox'))
    assert.equal((await world({ holder: { ...shown, uid: 0 }, rootMayReceive: true }).open()).kind, 'opened')
  })

  it('what cannot be found out is temporary, and the ticket is used up', async () => {
    const lookup: Lookup = { kind: 'failed', failure: lspawnStatuses.usersTrouble, reason: 'no disk' }
    const broken = (): Promise<never> => Promise.reject(new Error('no process'))
    for (const one of [world({ noTables: true }), world({ lookup }), world({ session: broken })]) {
      assert.deepEqual(await one.open(), refused('temporary'))
      assert.deepEqual(await one.open(), refused('unknown'))
    }
    assert.deepEqual(await world({ session: () => Promise.resolve(undefined) }).open(), refused('busy'))
  })

  it('says once in a while that a front shows what is not good', async () => {
    const { open, log, clock, granted } = world()
    for (let n = 0; n < 1000; n++) assert.deepEqual(await open('g'.repeat(32)), refused('unknown'))
    const line = 'alert: login shows a ticket that is not good, for pop3 from 192.0.2.1'
    assert.deepEqual(log, [line])
    clock.advance(10_000)
    assert.deepEqual(await open(ticket, { ...peer, remotePort: 1 }), refused('unknown'))
    assert.deepEqual(log, [line, `${line} (1001 so far)`])
    assert.equal(granted.length, 0)
  })

  it('a ticket that an lspawn before this one knew is no alarm', async () => {
    const clock = new FakeClock()
    const log: string[] = []
    const never = (): Promise<never> => Promise.reject(new Error('not asked'))
    const opener = new SessionOpener({
      tickets: new Tickets(clock),
      clock,
      log: (line) => log.push(line),
      random: realRandom,
      rootMayReceive: false,
      tables: () => tables,
      users: { lookup: never },
      locals: { sessionFor: never },
    })
    await opener.open({ ref: 1, ticket, peer })
    assert.match(log[0] ?? '', /^warning: login shows a ticket that is not good/)
  })
})
