/** Policies from a web server of the test's own, over real TLS, and a time that the test sets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { ServerResponse } from 'node:http'
import { createSecureContext } from 'node:tls'
import { after, describe, it, type TestContext } from 'node:test'
import { Authority } from '#test/kit/certificates.ts'
import { MemoryPolicies } from '#test/kit/remote-rig.ts'
import type { Certificate } from '#test/kit/scripted-server.ts'
import { without } from '#test/kit/tool.ts'
import { type Clock, realClock } from '../../system/clock.ts'
import type { Answer } from '../dns/dns.ts'
import { StsPolicies } from './policies.ts'

const skip = without('openssl')
const authority = skip === false ? new Authority() : undefined
const certificate: Certificate = authority?.issue('mta-sts.a.test', 'DNS:mta-sts.a.test') ?? { cert: '', key: '' }
after(() => authority?.remove())

const day = 86_400_000
const enforced = 'version: STSv1\nmode: enforce\nmx: mx.a.test\nmax_age: 864000\n'

type Respond = (response: ServerResponse) => void

class World {
  readonly store = new MemoryPolicies()
  readonly logged: string[] = []
  /** What the record says; undefined: there is none. */
  record: Answer<string> = { kind: 'found', values: ['v=STSv1; id=1'] }
  respond: Respond = (response) => void response.end(enforced)
  asked = 0
  time: number = Date.now()
  isReachable = true
  private readonly server: Server

  private constructor(server: Server) {
    this.server = server
  }

  static async open(t: TestContext, shown: Certificate = certificate): Promise<World> {
    const server = createServer({ cert: shown.cert, key: shown.key })
    const world = new World(server)
    server.on('request', (request, response) => {
      world.asked++
      assert.equal(request.url, '/.well-known/mta-sts.txt')
      world.respond(response)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return world
  }

  /** As after a restart: only the store is as it was. */
  policies(): StsPolicies {
    const address = this.server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    const clock: Clock = { now: () => this.time, monotonic: () => this.time, after: realClock.after }
    return new StsPolicies({
      store: this.store,
      clock,
      log: (line) => void this.logged.push(line),
      txt: async () => this.record,
      web: {
        addresses: async () => ({ kind: 'found', values: ['127.0.0.1'] }),
        isReachable: () => this.isReachable,
        context: () => createSecureContext({ ca: authority?.caPem ?? '' }),
        port: address.port,
      },
    })
  }

  async mode(policies: StsPolicies = this.policies()): Promise<string> {
    const { policy, trouble } = await policies.of('a.test')
    return `${policy?.mode ?? 'none'}${trouble === undefined ? '' : ` ${trouble.type}`}`
  }
}

describe('an MTA-STS policy', { skip }, () => {
  it('is fetched once for all who ask, kept, and good after a restart without its web server', async (t) => {
    const world = await World.open(t)
    const policies = world.policies()
    const modes = await Promise.all([world.mode(policies), world.mode(policies), world.mode(policies)])
    assert.deepEqual([modes, world.asked], [['enforce', 'enforce', 'enforce'], 1])
    world.respond = (response) => void response.writeHead(500).end()
    world.time += day
    assert.equal(await world.mode(), 'enforce')
    assert.equal(world.asked, 1, 'the same id')
  })

  it('holds while its record is gone, until max_age has passed', async (t) => {
    const world = await World.open(t)
    await world.mode()
    for (const record of [{ kind: 'hard' }, { kind: 'soft', why: 'time-out' }, { kind: 'none' }] as const) {
      world.record = record
      assert.equal(await world.mode(), 'enforce')
    }
    const finding = await world.policies().of('a.test')
    assert.deepEqual([finding.isKept, finding.id], [true, undefined])
    world.time += 10 * day + 1
    assert.equal(await world.mode(), 'none')
  })

  it('is fetched anew where its record has another id; where that fails, the kept one holds', async (t) => {
    const world = await World.open(t)
    const policies = world.policies()
    await world.mode(policies)
    world.record = { kind: 'found', values: ['v=STSv1; id=2'] }
    world.respond = (response) => void response.writeHead(404).end()
    assert.equal(await world.mode(policies), 'enforce sts-policy-fetch-error')
    assert.equal(await world.mode(policies), 'enforce sts-policy-fetch-error')
    assert.equal(world.asked, 2, 'not asked again so soon')
    world.time += 5 * 60_000
    world.respond = (response) => void response.end(enforced.replace('enforce', 'testing'))
    assert.equal(await world.mode(policies), 'testing')
  })

  const failures: [string, Respond, string][] = [
    [
      'a redirect',
      (response) => void response.writeHead(301, { location: 'https://mta-sts.a.test/else' }).end(),
      'none sts-policy-fetch-error',
    ],
    ['65 KiB', (response) => void response.end(enforced + '#'.repeat(65_536)), 'none sts-policy-fetch-error'],
    ['what is no policy', (response) => void response.end('<html>'), 'none sts-policy-invalid'],
    ['a connection that breaks off', (response) => void response.socket?.destroy(), 'none sts-policy-fetch-error'],
  ]
  for (const [what, respond, mode] of failures)
    it(`${what} is none, and without a kept one there is none`, async (t) => {
      const world = await World.open(t)
      world.respond = respond
      assert.equal(await world.mode(), mode)
      assert.match(world.logged[0] ?? '', /^warning: no MTA-STS policy of a\.test: https:/)
      assert.equal(world.store.policies.size, 0)
    })

  it('counts only from a server with a certificate for its name, of an authority that we believe', async (t) => {
    const other = authority?.issue('a.test', 'DNS:a.test')
    const own = authority?.selfSigned('ec', '-addext', 'subjectAltName=DNS:mta-sts.a.test')
    for (const shown of [other, own]) {
      const world = await World.open(t, shown)
      assert.equal(await world.mode(), 'none sts-webpki-invalid')
      assert.doesNotMatch(world.logged.join(), /Node\.js/)
    }
  })

  it('is not asked for at an address that a name server must not steer us to, nor without one record', async (t) => {
    const world = await World.open(t)
    world.isReachable = false
    assert.equal(await world.mode(), 'none sts-policy-fetch-error')
    world.isReachable = true
    world.record = { kind: 'found', values: ['v=STSv1; id=1', 'v=STSv1; id=2'] }
    assert.equal(await world.mode(), 'none')
    assert.equal(world.asked, 0)
  })

  it('is refreshed once a day, though nobody asks', async (t) => {
    const world = await World.open(t)
    const policies = world.policies()
    await world.mode(policies)
    assert.equal(await policies.refresh('a.test'), false)
    const usedAt = world.time
    world.time += day
    assert.equal(await policies.refresh('a.test'), true)
    assert.deepEqual([world.store.policies.get('a.test')?.fetchedAt, world.asked], [world.time, 2])
    assert.equal(world.store.policies.get('a.test')?.usedAt, usedAt)
    world.time += 9 * day
    assert.equal(await world.mode(), 'enforce')
  })

  it('holds though it cannot be kept, and the log says so', async (t) => {
    const world = await World.open(t)
    world.store.write = () => Promise.reject(new Error('no space left'))
    const policies = world.policies()
    assert.equal(await world.mode(policies), 'enforce')
    world.record = { kind: 'hard' }
    assert.equal(await world.mode(policies), 'enforce')
    assert.match(world.logged.join('\n'), /cannot be kept: no space left/)
  })
})
