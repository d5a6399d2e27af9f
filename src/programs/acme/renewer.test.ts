import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { AcmeRig, fault, host as name } from '#test/kit/acme-rig.ts'
import { without } from '#test/kit/tool.ts'
import { renewalIdOf } from '../../protocols/acme/renewal.ts'
import { readAcmeState } from '../../stores/acme/acme-state.ts'
import { readChallenge } from '../../stores/acme/challenge-files.ts'
import { tlsPaths, writeSelfSigned } from '../../stores/home/tls-files.ts'
import { realFiles } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'

const hour = 3_600_000
const day: number = 24 * hour

describe('acme, in time', { skip: without('openssl'), concurrency: false }, () => {
  const rig = new AcmeRig()
  before(() => rig.begin())
  after(() => rig.end())
  beforeEach(() => rig.reset())
  afterEach(() => rig.clear())

  it('from nothing to a certificate: account, order, challenge, chain; a second look asks for nothing', async () => {
    rig.authority.badNonceEvery = 4
    const one = rig.renewer()
    await one.look()
    assert.equal(fault(one), '', rig.log.join('\n'))
    assert.equal(rig.installed().subjectAltName, `DNS:${name}`)
    assert.equal(rig.authority.issued, 1)
    const { posts } = rig.authority
    await one.look()
    await rig.renewer().look()
    assert.equal(rig.authority.posts, posts)
    const { account, failure, renewal, issued } = await readAcmeState(realFiles, rig.home)
    assert.deepEqual(issued?.caaNames, ['ca.test'])
    assert.match(account?.url ?? '', /^https:.*\/account\/\d+$/)
    assert.equal(failure, undefined)
    const left = (renewal?.atMs ?? 0) - Date.now()
    assert.ok(left > 0.6 * 45 * day && left <= (2 / 3) * 45 * day, String(left / day))
    // The challenge is taken away again.
    const token = Buffer.from(`token of 0 ${name}`).toString('base64url')
    assert.equal(await readChallenge(realFiles, rig.home, token), undefined)
  })

  it('keeps the key of a certificate that signed itself, and renews when a third of the life is left', async () => {
    await writeSelfSigned(realFiles, rig.home.tls, name, rig.clock, realRandom)
    const key = readFileSync(tlsPaths(rig.home.tls).key, 'latin1')
    const one = rig.renewer()
    await one.look()
    const first = rig.installed().serialNumber
    rig.shift = 31 * day
    await rig.renewer().look()
    assert.notEqual(rig.installed().serialNumber, first)
    assert.equal(readFileSync(tlsPaths(rig.home.tls).key, 'latin1'), key)
    assert.equal(rig.authority.issued, 2)
  })

  it('ARI: a window to come is waited for, one that has moved to now is obeyed, and the order says what it replaces', async () => {
    const iso = (ms: number): string => new Date(ms).toISOString()
    rig.authority.window = { start: iso(Date.now() + 20 * day), end: iso(Date.now() + 21 * day) }
    const one = rig.renewer()
    await one.look()
    await one.look()
    const drawn = (await readAcmeState(realFiles, rig.home)).renewal?.atMs ?? 0
    assert.ok(drawn > Date.now() + 19 * day && drawn < Date.now() + 22 * day)
    assert.equal(rig.authority.issued, 1)
    rig.authority.window = {
      start: iso(Date.now() - day),
      end: iso(Date.now() - hour),
      explanationURL: 'https://ca.test/why',
    }
    // Not before the time that the authority has said.
    const asked = rig.authority.renewalInfoAsked.length
    await one.look()
    assert.equal(rig.authority.renewalInfoAsked.length, asked)
    rig.shift = 7 * hour
    const id = renewalIdOf(rig.installed().raw)
    await one.look()
    assert.equal(rig.authority.issued, 2, rig.log.join('\n'))
    assert.equal(rig.authority.orders.at(-1)?.replaces, id)
    assert.ok(rig.authority.renewalInfoAsked.includes(id ?? ''))
    assert.match(rig.log.join('\n'), /says why it is renewed then: https:\/\/ca\.test\/why/)
  })

  it('an authority that is away, then says no: waits longer each time, over restarts, and keeps what is in force', async () => {
    await rig.renewer().look()
    const first = rig.installed().serialNumber
    rig.shift = 40 * day
    rig.authority.refuseWith = { status: 503, type: 'serverInternal', retryAfter: '1800' }
    const one = rig.renewer()
    await one.look()
    assert.match(fault(one), /as the test wants \(serverInternal\)/)
    const { posts } = rig.authority
    await one.look()
    await rig.renewer().look()
    rig.shift += hour / 3
    await rig.renewer().look()
    assert.equal(rig.authority.posts, posts, 'within the time that it asked for, and over restarts')
    rig.shift += hour / 3
    rig.authority.refuseWith = { status: 403, type: 'rejectedIdentifier' }
    await one.look()
    assert.ok(rig.authority.posts > posts)
    const { failure } = await readAcmeState(realFiles, rig.home)
    assert.equal(failure?.count, 2)
    const wait = (failure?.againMs ?? 0) - rig.clock.now()
    assert.ok(wait > 1.7 * hour && wait < 2.3 * hour, String(wait / hour))
    assert.equal(rig.installed().serialNumber, first)
    rig.authority.refuseWith = undefined
    rig.shift += 3 * hour
    await one.look()
    assert.equal(fault(one), '')
    assert.notEqual(rig.installed().serialNumber, first)
    assert.equal((await readAcmeState(realFiles, rig.home)).failure, undefined)
  })

  it('a challenge that nobody shows: the authority’s words; and no more than four attempts in an hour are made by hand', async () => {
    rig.settings = { proof: { type: 'http-01', present: async () => undefined, clear: async () => undefined } }
    const one = rig.renewer()
    const steps: string[] = []
    for (let n = 0; n < 4; n++)
      assert.match(
        (await one.renew((step) => steps.push(step))) ?? '',
        /mail\.example\.test: no challenge there \(connection\)/,
      )
    assert.match((await one.renew(() => undefined)) ?? '', /^4 attempts failed within the hour/)
    assert.equal(rig.authority.orders.length, 4)
    assert.match(steps.join('\n'), /the authority looks at the challenge \(http-01\)/)
    rig.shift = 2 * hour
    rig.settings = {}
    assert.equal(await one.renew(() => undefined), undefined)
  })

  it('a process that dies in the middle of an attempt makes the next one wait', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const never = new Promise<void>(() => undefined)
    const present = (): Promise<void> => {
      begin()
      return never
    }
    rig.settings = { proof: { type: 'http-01', present, clear: async () => undefined } }
    void rig.renewer().look()
    await begun
    const next = rig.renewer()
    await next.look()
    assert.match(fault(next), /the last attempt ended in its middle/)
    assert.equal(rig.authority.orders.length, 1)
  })

  it('a stop in the middle of an attempt counts as none, and the next start waits a minute', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    rig.settings = { proof: { type: 'http-01', present: async () => begin(), clear: async () => undefined } }
    const one = rig.renewer()
    void one.look()
    await begun
    await one.stop()
    const { failure } = await readAcmeState(realFiles, rig.home)
    assert.deepEqual([failure?.count, failure?.timesMs], [0, []])
    assert.match(failure?.text ?? '', /cut off by a stop/)
    await one.look()
  })

  it('asked for during a mere look, it is renewed; during an attempt, that is the one', async () => {
    const one = rig.renewer()
    const [, why] = await Promise.all([one.look(), one.renew(() => undefined)])
    assert.deepEqual([why, rig.authority.issued], [undefined, 1])
    await Promise.all([one.look(), one.renew(() => undefined)])
    assert.equal(rig.authority.issued, 2)
  })
})
