/** MTA-STS policies (RFC 8461) of the domains that mail goes to, obeyed. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Authority } from '../kit/certificates.ts'
import { inClear, inTls, PolicyWorld, sendOnce } from '../kit/policy-world.ts'
import { noTlsFacts } from '../kit/remote-rig.ts'
import type { Certificate, Script } from '../kit/scripted-server.ts'
import { without } from '../kit/tool.ts'

const skip = without('openssl')
const authority = skip === false ? new Authority() : undefined
const ca = authority?.caPem ?? ''
const none: Certificate = { cert: '', key: '' }
const good = authority?.issue('mx.t.example', 'DNS:mx.t.example', 'DNS:mx2.t.example') ?? none
const ofOther = authority?.issue('other.test', 'DNS:other.test') ?? none
const own = authority?.selfSigned('ec', '-addext', 'subjectAltName=DNS:mx.t.example') ?? none
after(() => authority?.remove())

describe('MTA-STS', { skip }, () => {
  it('enforce: an exchanger of the policy with a good certificate gets the message', async () => {
    const world = await PolicyWorld.of(ca, [{ name: 'mx.t.example', script: inTls(good) }])
    assert.match(await sendOnce(world.sts('enforce', '*.t.example')), /^K127/)
  })

  const bad: [string, Script, RegExp][] = [
    ['another name in the certificate', inTls(ofOther), /mx\.t\.example/],
    ['a certificate of its own', inTls(own), /self-signed|DEPTH_ZERO/i],
    ['no STARTTLS', inClear, /it offers no TLS/],
  ]
  for (const [what, script, why] of bad)
    it(`enforce: ${what}, and the message waits`, async () => {
      const world = await PolicyWorld.of(ca, [{ name: 'mx.t.example', script }])
      const report = await sendOnce(world.sts('enforce', 'mx.t.example'))
      assert.equal(report.charAt(0), 'Z')
      assert.match(report, why)
      assert.match(report, /demanded by the MTA-STS policy of t\.example/)
      assert.deepEqual([world.envelopes, world.connections], [0, [1]])
    })

  it('enforce: an exchanger that is not in the policy is passed over, and so is one with a bad certificate', async () => {
    const exchangers = [
      { name: 'mx9.evil.example', script: inTls(good) },
      { name: 'mx.t.example', script: inTls(ofOther) },
      { name: 'mx2.t.example', script: inTls(good) },
    ]
    const world = await PolicyWorld.of(ca, exchangers)
    assert.match(await sendOnce(world.sts('enforce', 'mx.t.example', 'mx2.t.example')), /^K127/)
    assert.deepEqual(world.connections, [0, 1, 1])
  })

  it('enforce: no exchanger in the policy defers, and says which policy', async () => {
    const world = await PolicyWorld.of(ca, [{ name: 'mx9.evil.example', script: inTls(good) }])
    const report = await sendOnce(world.sts('enforce', 'mx.t.example'))
    const words = 'Not sent to 127.0.0.1: mx9.evil.example is not in the MTA-STS policy of t.example. (#4.7.5)'
    assert.equal(report, `Z${words}\n`)
    assert.deepEqual(world.connections, [0])
  })

  it('testing: delivered whatever there is, and the log says what would fail', async () => {
    for (const [script, why] of [
      [inTls(ofOther), /not as the MTA-STS policy of t\.example says: .*; the policy is in testing/],
      [inClear, /EHLO offers no STARTTLS; the policy is in testing/],
    ] as const) {
      const world = await PolicyWorld.of(ca, [{ name: 'mx.t.example', script }])
      assert.match(await sendOnce(world.sts('testing', 'mx.t.example')), /^K127/)
      assert.match(world.rig.logged.join('\n'), why)
    }
    const stranger = await PolicyWorld.of(ca, [{ name: 'mx9.evil.example', script: inTls(good) }])
    assert.match(await sendOnce(stranger.sts('testing', 'mx.t.example')), /^K127/)
    assert.match(stranger.rig.logged.join('\n'), /mx9\.evil\.example is not in the MTA-STS policy of t\.example/)
  })

  it('mode none asks for nothing, and a policy of the parent domain is none', async () => {
    const world = await PolicyWorld.of(ca, [{ name: 'mx9.evil.example', script: inClear }])
    assert.match(await sendOnce(world.sts('none')), /^K127/)
    const below = await PolicyWorld.of(ca, [{ name: 'mx9.evil.example', script: inClear }])
    below.sts('enforce', 'mx.t.example')
    assert.match(await below.send(new Map(), 'r@sub.t.example'), /^K127/)
    await below.close()
  })

  it('the administrator has the last word: notlspolicies, notlshosts/', async () => {
    const exchangers = [{ name: 'mx.t.example', script: inClear }]
    for (const settings of [
      { heedsPolicies: () => false },
      { tlsFacts: () => ({ ...noTlsFacts, forbidden: true }) },
    ] as const) {
      const world = await PolicyWorld.of(ca, exchangers, settings)
      assert.match(await sendOnce(world.sts('enforce', 'mx.t.example')), /^K127/)
    }
  })

  it('a connection that nobody vouched for is not used again where somebody must', async () => {
    const world = await PolicyWorld.of(ca, [{ name: 'mx.t.example', script: inTls(good) }])
    world.sts('enforce', 'mx.t.example')
    assert.match(await world.send(new Map(), 'r@free.example'), /^K/)
    assert.match(await world.send(), /^K/)
    assert.match(await world.send(), /^K/)
    assert.deepEqual(world.connections, [2])
    await world.close()
  })

  it('sessions are counted by the policy that they were held to, once a connection', async () => {
    const results = (world: PolicyWorld): string[] =>
      world.rig.sessions.map(({ policyType, result, exchanger }) => `${policyType} ${result} ${exchanger}`)
    const exchangers = [
      { name: 'mx9.evil.example', script: inTls(good) },
      { name: 'mx.t.example', script: inTls(ofOther) },
      { name: 'mx2.t.example', script: inTls(good) },
    ]
    const world = await PolicyWorld.of(ca, exchangers)
    world.sts('enforce', 'mx.t.example', 'mx2.t.example')
    await world.send()
    await world.send()
    assert.deepEqual(results(world).slice(0, 3), [
      'sts validation-failure mx9.evil.example',
      'sts certificate-host-mismatch mx.t.example',
      'sts success mx2.t.example',
    ])
    assert.equal(results(world).filter((line) => line.includes('success')).length, 1, 'the second one was reused')
    assert.deepEqual(world.rig.sessions[2]?.policyStrings.slice(0, 2), ['version: STSv1', 'mode: enforce'])
    assert.equal(world.rig.sessions[2]?.ownAddress, '127.0.0.1')
    await world.close()
    const free = await PolicyWorld.of(ca, [{ name: 'mx.t.example', script: inClear }])
    await sendOnce(free)
    assert.deepEqual(results(free), ['no-policy-found starttls-not-supported mx.t.example'])
    const unfetched = await PolicyWorld.of(ca, [{ name: 'mx.t.example', script: inTls(own) }])
    unfetched.rig.dns.texts.set('_mta-sts.t.example', { kind: 'found', values: ['v=STSv1; id=1'] })
    await sendOnce(unfetched)
    assert.deepEqual(results(unfetched), ['sts sts-policy-fetch-error ', 'no-policy-found success mx.t.example'])
  })
})
