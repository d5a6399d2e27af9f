/** Encryption and passwords towards other servers: taken when offered, demanded where somebody demands it, and a password
 *  never in clear. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { TlsFacts } from '../../src/clients/smtp/tls-plan.ts'
import { Authority } from '../kit/certificates.ts'
import { noTlsFacts, RemoteRig } from '../kit/remote-rig.ts'
import { type Certificate, type Peer, type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { without } from '../kit/tool.ts'

const skip = without('openssl')
const authority = skip === false ? new Authority() : undefined
const none: Certificate = { cert: '', key: '' }
const forRelay = authority?.issue('relay.test', 'DNS:relay.test', 'IP:127.0.0.1') ?? none
const forOther = authority?.issue('other.test', 'DNS:other.test') ?? none
const ourOwn = authority?.issue('client.test', 'DNS:client.test') ?? none
after(() => authority?.remove())

const accepted = 'K127.0.0.1 accepted message.\nRemote host said: 250 taken\n'
const demanded: TlsFacts = { ...noTlsFacts, hostCaPem: authority?.caPem }

async function hello(peer: Peer, ...keywords: string[]): Promise<void> {
  const lines = ['server.test', ...keywords]
  const reply = lines.map((line, index) => `250${index === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
  await peer.expect('EHLO lab.test.example\r\n', reply)
}

async function takeMessage(peer: Peer): Promise<void> {
  await peer.expect('MAIL FROM:<s@x>\r\n', '250 ok\r\n')
  await peer.expect('RCPT', '250 ok\r\n')
  await peer.expect('DATA', '354 go\r\n')
  await peer.content()
  peer.send('250 taken\r\n')
  await peer.tail()
}

async function upToTls(peer: Peer, certificate: Certificate, ...keywords: string[]): Promise<void> {
  peer.send('220 hi\r\n')
  await hello(peer, 'STARTTLS', ...keywords)
  await peer.expect('STARTTLS\r\n', '220 go\r\n')
  await peer.startTls(certificate, true)
}

function inTls(certificate: Certificate): Script {
  return async (peer) => {
    // C4: what is offered before TLS (SIZE, PIPELINING) must be forgotten; MAIL above comes without parameters.
    await upToTls(peer, certificate, 'SIZE 10', 'PIPELINING', 'AUTH PLAIN')
    await hello(peer)
    await takeMessage(peer)
  }
}

const inClear: Script = async (peer) => {
  peer.send('220 hi\r\n')
  await hello(peer, 'STARTTLS')
  await takeMessage(peer)
}

const withoutTls: Script = async (peer) => {
  peer.send('220 hi\r\n')
  await hello(peer)
  await takeMessage(peer)
}

interface Run {
  readonly report: string
  readonly server: ScriptedServer
  readonly rig: RemoteRig
}

/** One message to the relay `relay.test`, whose server follows the scripts. */
async function send(
  facts: TlsFacts,
  scripts: readonly Script[],
  more: { secrets?: string[]; params?: Map<string, string>; messages?: number } = {},
): Promise<Run> {
  const server = await ScriptedServer.listen(scripts)
  const rig = new RemoteRig(`relay.test:${server.port}`, { tlsFacts: () => facts, secrets: more.secrets ?? [] })
  rig.dns.host('relay.test', '127.0.0.1')
  let report = ''
  for (let n = 0; n < (more.messages ?? 1); n++) report = await rig.report({ params: more.params ?? new Map() })
  rig.close()
  await server.close()
  return { report, server, rig }
}

function commands(server: ScriptedServer): string[] {
  return server.peers.map((peer) => peer.received.map((line) => line.slice(0, 4)).join(' '))
}

describe('opportunistic STARTTLS', { skip }, () => {
  it('is used when offered, whatever the certificate, and what was offered before it is forgotten (C4)', async () => {
    const { report, server } = await send(noTlsFacts, [inTls(forOther)])
    assert.equal(report, accepted)
    assert.match(commands(server)[0] ?? '', /^EHLO STAR EHLO MAIL/)
  })
  it('a refusal of STARTTLS leaves the message in clear on the same connection', async () => {
    const { report, server } = await send(noTlsFacts, [
      async (peer) => {
        peer.send('220 hi\r\n')
        await hello(peer, 'STARTTLS')
        await peer.expect('STARTTLS\r\n', '454 not now\r\n')
        await takeMessage(peer)
      },
    ])
    assert.equal(report, accepted)
    assert.equal(server.peers.length, 1)
  })
  it('a failed handshake is followed by a new connection in clear, and remembered', async () => {
    const broken: Script = async (peer) => {
      peer.send('220 hi\r\n')
      await hello(peer, 'STARTTLS')
      await peer.expect('STARTTLS\r\n', '220 go\r\n')
      await peer.line()
      peer.send('this is not TLS\r\n')
    }
    const { report, server, rig } = await send(noTlsFacts, [broken, inClear, inClear], { messages: 2 })
    assert.equal(report, accepted)
    assert.deepEqual(
      commands(server).map((line) => line.slice(0, 9)),
      ['EHLO STAR', 'EHLO MAIL', 'EHLO MAIL'],
    )
    assert.match(rig.logged[0] ?? '', /^warning: TLS with 127.0.0.1 failed, trying without: /)
  })
  for (const [what, demands] of [
    ['demands a certificate of ours', true],
    ['closes behind the handshake', false],
  ] as const)
    it(`a server that ${what} is spoken to in clear`, async () => {
      const script: Script = async (peer) => {
        peer.send('220 hi\r\n')
        await hello(peer, 'STARTTLS')
        await peer.expect('STARTTLS\r\n', '220 go\r\n')
        await peer.startTls(forRelay, demands, demands)
        if (demands) await peer.tail()
      }
      const { report, server, rig } = await send(noTlsFacts, [script, inClear, inClear], { messages: 2 })
      assert.equal(report, accepted)
      assert.equal(server.peers.length, 3)
      assert.match(rig.logged[0] ?? '', /^warning: TLS with 127.0.0.1 failed, trying without: no answer in TLS: /)
    })
  it('421 to STARTTLS, or to EHLO in TLS, means later, and not in clear', async () => {
    const early: Script = async (peer) => {
      peer.send('220 hi\r\n')
      await hello(peer, 'STARTTLS')
      await peer.expect('STARTTLS\r\n', '421 not now\r\n')
    }
    const late: Script = async (peer) => {
      await upToTls(peer, forRelay)
      await peer.expect('EHLO', '421 not now\r\n')
    }
    for (const script of [early, late]) {
      const { report, server } = await send(noTlsFacts, [script])
      assert.match(report, /^ZConnected to 127\.0\.0\.1 but .*\nRemote host said: 421 not now\n$/)
      assert.equal(server.peers.length, 1)
    }
  })
  for (const injected of ['250-injected\r\n250 AUTH PLAIN\r\n', '250-half a reply'])
    it(`bytes behind the 220 end it, and nothing is sent in clear: ${JSON.stringify(injected)} (C1)`, async () => {
      const { report, server } = await send(noTlsFacts, [
        async (peer) => {
          peer.send('220 x\r\n')
          await hello(peer, 'STARTTLS')
          await peer.expect('STARTTLS\r\n', `220 go\r\n${injected}`)
          await peer.tail()
        },
      ])
      assert.equal(report, 'ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n')
      assert.deepEqual(commands(server).length, 1)
    })
  it('notlshosts/ and exhaustivelist switch it off', async () => {
    for (const facts of [
      { ...noTlsFacts, forbidden: true },
      { ...noTlsFacts, exhaustive: true },
    ])
      assert.equal((await send(facts, [inClear])).report, accepted)
  })
  it('clientcert.pem is shown', async () => {
    let shown: string | undefined
    const { report } = await send({ ...noTlsFacts, clientPem: ourOwn.cert + ourOwn.key }, [
      async (peer) => {
        await upToTls(peer, forRelay)
        await hello(peer)
        shown = peer.clientName
        await takeMessage(peer)
      },
    ])
    assert.equal(report, accepted)
    assert.equal(shown, 'client.test')
  })
})

describe('a clientcert.pem that is none', { skip }, () => {
  it('is reported, and TLS goes on without it', async () => {
    const { report, rig } = await send({ ...noTlsFacts, clientPem: 'rubbish' }, [inTls(forRelay)])
    assert.equal(report, accepted)
    assert.match(rig.logged.join(), /^control\/clientcert\.pem: /)
  })
})

describe('TLS that is demanded by tlshosts/', { skip }, () => {
  it('goes through with the right authority and name', async () => {
    assert.equal((await send(demanded, [inTls(forRelay)])).report, accepted)
  })
  const refusals: [string, Script, RegExp][] = [
    ['another name in the certificate', inTls(forOther), /TLS failed: .*relay\.test/],
    ['no STARTTLS offered (C2)', withoutTls, /it offers no TLS, which is demanded/],
    [
      'STARTTLS refused (C3)',
      async (peer) => {
        peer.send('220 hi\r\n')
        await hello(peer, 'STARTTLS')
        await peer.expect('STARTTLS\r\n', '454 no\r\n')
        await peer.tail()
      },
      /STARTTLS was refused/,
    ],
  ]
  for (const [what, script, text] of refusals)
    it(`${what}: the message waits`, async () => {
      const tolerant: Script = async (peer) => await script(peer).catch(() => undefined)
      const { report, server } = await send(demanded, [tolerant])
      assert.equal(report.charAt(0), 'Z')
      assert.match(report, text)
      assert.doesNotMatch(commands(server).join(' '), /MAIL/)
    })
  it('an unreadable file verifies nobody', async () => {
    const tolerant: Script = async (peer) => await inTls(forRelay)(peer).catch(() => undefined)
    const { report } = await send({ ...noTlsFacts, hostCaPem: '' }, [tolerant])
    assert.match(report, /^ZConnected to 127.0.0.1 but TLS failed: /)
  })
  it('REQUIRETLS demands it too, of a certificate that the system trusts', async () => {
    const tolerant: Script = async (peer) => await inTls(forRelay)(peer).catch(() => undefined)
    const { report } = await send(noTlsFacts, [tolerant], { params: new Map([['REQUIRETLS', '']]) })
    assert.match(report, /^ZConnected to 127.0.0.1 but TLS failed: /)
  })
})

describe('a smarthost with a password', { skip }, () => {
  const secrets = ['relay.test us3r pa ss']
  const plain = `AUTH PLAIN ${Buffer.from('\0us3r\0pa ss').toString('base64')}\r\n`

  function asking(auth: string, login: (peer: Peer) => Promise<void>): Script {
    return async (peer) => {
      await upToTls(peer, forRelay, 'AUTH PLAIN LOGIN')
      await hello(peer, auth)
      await login(peer)
    }
  }

  it('AUTH PLAIN after STARTTLS', async () => {
    const script = asking('AUTH LOGIN PLAIN', async (peer) => {
      await peer.expect(plain, '235 in\r\n')
      await takeMessage(peer)
    })
    assert.equal((await send(demanded, [script], { secrets })).report, accepted)
  })
  it('AUTH LOGIN where PLAIN is not offered', async () => {
    const script = asking('AUTH LOGIN', async (peer) => {
      await peer.expect('AUTH LOGIN\r\n', '334 VXNlcm5hbWU6\r\n')
      await peer.expect('dXMzcg==\r\n', '334 UGFzc3dvcmQ6\r\n')
      await peer.expect('cGEgc3M=\r\n', '235 in\r\n')
      await takeMessage(peer)
    })
    assert.equal((await send(demanded, [script], { secrets })).report, accepted)
  })
  it('a wrong password defers, whatever the server says', async () => {
    const script = asking('AUTH PLAIN', async (peer) => {
      await peer.expect(plain, '535 5.7.8 wrong\r\n')
      await peer.tail()
    })
    const { report } = await send(demanded, [script], { secrets })
    const words = 'ZConnected to 127.0.0.1 but my user name or password was rejected.\n'
    assert.equal(report, `${words}Remote host said: 535 5.7.8 wrong\n`)
  })
  it('never in clear: no STARTTLS, no AUTH', async () => {
    const { report, server } = await send(
      noTlsFacts,
      [
        async (peer) => {
          peer.send('220 hi\r\n')
          await hello(peer, 'AUTH PLAIN')
          await peer.tail()
        },
      ],
      { secrets },
    )
    assert.match(report, /^ZConnected to 127.0.0.1 but it offers no TLS, which is demanded/)
    assert.deepEqual(commands(server), ['EHLO QUIT'])
  })
  it('never to a server whose certificate nobody vouches for', async () => {
    const script = asking('AUTH PLAIN', async (peer) => {
      await peer.tail()
    })
    const { report } = await send(noTlsFacts, [async (peer) => await script(peer).catch(() => undefined)], { secrets })
    assert.match(report, /^ZConnected to 127.0.0.1 but TLS failed: /)
  })
  it('on port 465 TLS comes before the greeting', async (test) => {
    const script: Script = async (peer) => {
      await peer.startTls(forRelay)
      peer.send('220 hi\r\n')
      await hello(peer, 'AUTH PLAIN')
      await peer.expect(plain, '235 in\r\n')
      await takeMessage(peer)
    }
    const server = await ScriptedServer.listen([script], 465, '127.0.0.46').catch(() => undefined)
    if (server === undefined) return test.skip('port 465 cannot be bound here')
    const rig = new RemoteRig('relay.test:465', { tlsFacts: () => demanded, secrets: ['relay.test:465 us3r pa ss'] })
    rig.dns.host('relay.test', '127.0.0.46')
    assert.equal(await rig.report(), 'K127.0.0.46 accepted message.\nRemote host said: 250 taken\n')
    rig.close()
    await server.close()
  })
})
