/** What domains publish about TLS, obeyed when mail is sent to them: MTA-STS (RFC 8461). */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { StsMode } from '../../src/protocols/mta-sts/policy.ts'
import { Authority } from '../kit/certificates.ts'
import { noTlsFacts, RemoteRig } from '../kit/remote-rig.ts'
import { type Certificate, type Peer, type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { without } from '../kit/tool.ts'
import type { Settings } from '../../src/programs/remote/settings.ts'

const skip = without('openssl')
const authority = skip === false ? new Authority() : undefined
const none: Certificate = { cert: '', key: '' }
const good = authority?.issue('mx.t.example', 'DNS:mx.t.example', 'DNS:mx2.t.example') ?? none
const ofOther = authority?.issue('other.test', 'DNS:other.test') ?? none
const own = authority?.selfSigned('ec', '-addext', 'subjectAltName=DNS:mx.t.example') ?? none
after(() => authority?.remove())

async function takeMessages(peer: Peer): Promise<void> {
  for (;;) {
    const line = await peer.line()
    if (line === '' || line.startsWith('QUIT')) return
    if (!line.startsWith('DATA')) {
      peer.send('250 ok\r\n')
      continue
    }
    peer.send('354 go\r\n')
    await peer.content()
    peer.send('250 taken\r\n')
  }
}

function inTls(certificate: Certificate): Script {
  return async (peer) => {
    peer.send('220 hi\r\n')
    await peer.expect('EHLO', '250-hi\r\n250 STARTTLS\r\n')
    await peer.expect('STARTTLS', '220 go\r\n')
    await peer.startTls(certificate)
    await takeMessages(peer)
  }
}

const inClear: Script = async (peer) => {
  peer.send('220 hi\r\n')
  await takeMessages(peer)
}

interface Exchanger {
  readonly name: string
  readonly script: Script
}

class World {
  readonly rig: RemoteRig
  readonly servers: ScriptedServer[] = []

  constructor(settings: Partial<Settings> = {}) {
    this.rig = new RemoteRig('', settings)
    if (authority !== undefined) this.rig.authorities.push(authority.caPem)
  }

  static async of(exchangers: readonly Exchanger[], settings: Partial<Settings> = {}): Promise<World> {
    const world = new World(settings)
    for (const { name, script } of exchangers) {
      const server = await ScriptedServer.listen([async (peer) => await script(peer).catch(() => undefined)])
      world.servers.push(server)
      world.rig.targets.push({ address: '127.0.0.1', port: server.port, name })
    }
    return world
  }

  sts(mode: StsMode, ...mx: string[]): this {
    const text = ['version: STSv1', `mode: ${mode}`, 'max_age: 86400', ...mx.map((name) => `mx: ${name}`)].join('\n')
    const now = Date.now()
    this.rig.kept.policies.set('t.example', { id: '1', fetchedAt: now, usedAt: now, text })
    return this
  }

  async send(params: ReadonlyMap<string, string> = new Map(), recipient = 'r@t.example'): Promise<string> {
    return await this.rig.report({ params, recipients: [recipient] })
  }

  async close(): Promise<void> {
    this.rig.close()
    for (const server of this.servers) await server.close()
  }

  /** How many connections each exchanger saw. */
  get connections(): number[] {
    return this.servers.map((server) => server.peers.length)
  }

  /** Whether any of them was spoken to in clear beyond STARTTLS. */
  get envelopes(): number {
    return this.servers.flatMap(({ peers }) => peers.flatMap(({ received }) => received)).filter(isMail).length
  }
}

function isMail(line: string): boolean {
  return line.startsWith('MAIL')
}

/** One message, and then everything is closed. */
async function once(world: World): Promise<string> {
  const report = await world.send()
  await world.close()
  return report
}

describe('MTA-STS', { skip }, () => {
  it('enforce: an exchanger of the policy with a good certificate gets the message', async () => {
    const world = await World.of([{ name: 'mx.t.example', script: inTls(good) }])
    assert.match(await once(world.sts('enforce', '*.t.example')), /^K127/)
  })

  const bad: [string, Script, RegExp][] = [
    ['another name in the certificate', inTls(ofOther), /mx\.t\.example/],
    ['a certificate of its own', inTls(own), /self-signed|DEPTH_ZERO/i],
    ['no STARTTLS', inClear, /it offers no TLS/],
  ]
  for (const [what, script, why] of bad)
    it(`enforce: ${what}, and the message waits`, async () => {
      const world = await World.of([{ name: 'mx.t.example', script }])
      const report = await once(world.sts('enforce', 'mx.t.example'))
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
    const world = await World.of(exchangers)
    assert.match(await once(world.sts('enforce', 'mx.t.example', 'mx2.t.example')), /^K127/)
    assert.deepEqual(world.connections, [0, 1, 1])
  })

  it('enforce: no exchanger in the policy defers, and says which policy', async () => {
    const world = await World.of([{ name: 'mx9.evil.example', script: inTls(good) }])
    const report = await once(world.sts('enforce', 'mx.t.example'))
    const words = 'Not sent to 127.0.0.1: mx9.evil.example is not in the MTA-STS policy of t.example. (#4.7.5)'
    assert.equal(report, `Z${words}\n`)
    assert.deepEqual(world.connections, [0])
  })

  it('testing: delivered whatever there is, and the log says what would fail', async () => {
    for (const [script, why] of [
      [inTls(ofOther), /not as the MTA-STS policy of t\.example says: .*; the policy is in testing/],
      [inClear, /EHLO offers no STARTTLS; the policy is in testing/],
    ] as const) {
      const world = await World.of([{ name: 'mx.t.example', script }])
      assert.match(await once(world.sts('testing', 'mx.t.example')), /^K127/)
      assert.match(world.rig.logged.join('\n'), why)
    }
    const stranger = await World.of([{ name: 'mx9.evil.example', script: inTls(good) }])
    assert.match(await once(stranger.sts('testing', 'mx.t.example')), /^K127/)
    assert.match(stranger.rig.logged.join('\n'), /mx9\.evil\.example is not in the MTA-STS policy of t\.example/)
  })

  it('mode none asks for nothing, and a policy of the parent domain is none', async () => {
    const world = await World.of([{ name: 'mx9.evil.example', script: inClear }])
    assert.match(await once(world.sts('none')), /^K127/)
    const below = await World.of([{ name: 'mx9.evil.example', script: inClear }])
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
      const world = await World.of(exchangers, settings)
      assert.match(await once(world.sts('enforce', 'mx.t.example')), /^K127/)
    }
  })

  it('a connection that nobody vouched for is not used again where somebody must', async () => {
    const world = await World.of([{ name: 'mx.t.example', script: inTls(good) }])
    world.sts('enforce', 'mx.t.example')
    assert.match(await world.send(new Map(), 'r@free.example'), /^K/)
    assert.match(await world.send(), /^K/)
    assert.match(await world.send(), /^K/)
    assert.deepEqual(world.connections, [2])
    await world.close()
  })
})
