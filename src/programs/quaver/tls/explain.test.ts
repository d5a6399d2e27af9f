import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Authority } from '#test/kit/certificates.ts'
import { inClear, inTls, PolicyWorld, tlsaRecord } from '#test/kit/policy-world.ts'
import { noTlsFacts } from '#test/kit/remote-rig.ts'
import type { Certificate, Script } from '#test/kit/scripted-server.ts'
import { without } from '#test/kit/tool.ts'
import { conclude, explainExchanger, type ExplainedExchanger } from './explain.ts'

describe('tls explain', { skip: without('openssl') }, () => {
  const authority = without('openssl') === false ? new Authority() : undefined
  const ca = authority?.caPem ?? ''
  const name = 'mx.t.example'
  const good: Certificate = authority?.issue(name, `DNS:${name}`) ?? { cert: '', key: '' }
  const own: Certificate = authority?.selfSigned('ec') ?? { cert: '', key: '' }
  after(() => authority?.remove())

  async function explained(
    script: Script,
    publish: (world: PolicyWorld) => unknown,
    tlsaHosts?: readonly string[],
  ): Promise<{ one: ExplainedExchanger; world: PolicyWorld }> {
    const world = await PolicyWorld.of(ca, [{ name, script, ...(tlsaHosts === undefined ? {} : { tlsaHosts }) }])
    publish(world)
    const { contexts, deadlines, tlsPolicies } = world.rig.equipment
    const tlsFacts = () => noTlsFacts
    const parts = { contexts, deadlines, tlsFacts, helo: 'me.test', ownNames: new Set<string>() }
    const demands = await tlsPolicies.of('t.example')
    const [target] = world.rig.targets
    assert.ok(target)
    const one = await explainExchanger(target, demands, { ...parts, hasLogin: false, isRouted: false })
    await world.close()
    assert.equal(world.envelopes, 0, 'no message is begun')
    return { one, world }
  }

  it('says what is demanded, what is offered, and what would come of it', async () => {
    const { one } = await explained(inTls(good), (world) => world.sts('enforce', name))
    assert.equal(one.demand, 'TLS and a certificate that verifies (the MTA-STS policy of t.example)')
    assert.match(one.tls?.protocol ?? '', /^TLSv1\.3 /)
    assert.equal(one.tls?.names, `DNS:${name}`)
    assert.deepEqual([one.outcome, one.why, one.isCertain], ['goes', '', false])
    assert.equal(conclude([one]).text, 'a message would go to mx.t.example (127.0.0.1), in TLS')
  })

  it('names what is wrong: certificate, name, policy, TLSA record, no TLS', async () => {
    const cases: [Script, (world: PolicyWorld) => unknown, string, RegExp][] = [
      [inTls(own), (world) => world.sts('enforce', name), 'next', /self-signed.*MTA-STS policy of t\.example/],
      [inTls(good), (world) => world.sts('enforce', 'a.test'), 'next', /^mx\.t\.example is not in the MTA-STS policy/],
      [inTls(good), (world) => world.tlsa(0, tlsaRecord(3, 1, own.cert)), 'next', /no TLSA record matches/],
      [inClear, (world) => world.sts('enforce', name), 'next', /it offers no TLS/],
      [inClear, () => undefined, 'clear', /EHLO offers no STARTTLS/],
      [inTls(own), (world) => world.sts('testing', name), 'goes', /SELF_SIGNED/],
    ]
    for (const [script, publish, outcome, why] of cases) {
      const { one } = await explained(script, publish, [name])
      assert.equal(one.outcome, outcome)
      assert.match(one.why, why)
    }
  })

  it('shows TLSA records as a zone has them, and an exchanger that is not there', async () => {
    const { one } = await explained(inTls(own), (world) => world.tlsa(0, tlsaRecord(3, 1, own.cert)), [name])
    assert.match(one.tlsa.join(), /^3 1 1 [0-9a-f]{64}$/)
    assert.deepEqual([one.outcome, one.isCertain], ['goes', true])
    const world = await PolicyWorld.of(ca, [{ name, script: inClear }])
    await world.servers[0]?.close()
    const { contexts, deadlines, tlsPolicies } = world.rig.equipment
    const parts = { contexts, deadlines, tlsFacts: () => noTlsFacts, helo: 'me.test', ownNames: new Set<string>() }
    const [target] = world.rig.targets
    assert.ok(target)
    const demands = await tlsPolicies.of('t.example')
    const away = await explainExchanger(target, demands, { ...parts, hasLogin: false, isRouted: false })
    assert.equal(away.outcome, 'unreachable')
    const { text, isSent } = conclude([away])
    assert.deepEqual([text, isSent], ['a message would wait: no exchanger does as is demanded, or answers', false])
  })
})
