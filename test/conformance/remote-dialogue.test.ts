/** Our SMTP client against servers that do as a script says: which address is next, what is sent, what is reported. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../../src/system/clock.ts'
import { RemoteRig } from '../kit/remote-rig.ts'
import { type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { accepted, acceptAll, greet, takeMessage } from '../kit/scripts.ts'

/** Two addresses for one relay name, the first served by `first`, the second taking everything. */
async function twoAddresses(first: Script | undefined): Promise<{ report: string; connections: number[] }> {
  const [other, second] = await ScriptedServer.pair(first === undefined ? [] : [first], [acceptAll])
  if (first === undefined) await other.close()
  const servers = first === undefined ? [second] : [second, other]
  const rig = new RemoteRig(`relay.test:${second.port}`)
  rig.dns.host('relay.test', '127.0.0.1', '127.0.0.2')
  const report = await rig.report()
  rig.close()
  for (const server of servers) await server.close()
  return { report, connections: servers.map((server) => server.peers.length) }
}

describe('the next address', () => {
  it('is tried when a connection is refused', async () => {
    assert.equal((await twoAddresses(undefined)).report, accepted('127.0.0.2'))
  })
  it('is tried when the greeting is 4xx', async () => {
    const { report, connections } = await twoAddresses(async (peer) => {
      peer.send('421 busy\r\n')
      assert.equal(await peer.tail(), 'QUIT\r\n')
    })
    assert.equal(report, accepted('127.0.0.2'))
    assert.deepEqual(connections, [1, 1])
  })
  it('is tried when the connection ends before the greeting', async () => {
    assert.equal((await twoAddresses(async () => undefined)).report, accepted('127.0.0.2'))
  })
  it('is not tried after an answer to the message', async () => {
    const { report, connections } = await twoAddresses(async (peer) => {
      await greet(peer)
      await peer.expect('MAIL', '451 not now\r\n')
      await peer.tail()
    })
    assert.equal(report, 'ZConnected to 127.0.0.1 but sender was rejected.\nRemote host said: 451 not now\n')
    assert.deepEqual(connections, [0, 1])
  })
  it('none left: qmail’s words', async () => {
    const server = await ScriptedServer.listen([acceptAll])
    const { port } = server
    await server.close()
    const rig = new RemoteRig(`127.0.0.1:${port}`)
    assert.equal(await rig.report(), "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n")
  })
})

describe('a dead host', () => {
  it('is passed over after its second timeout', async () => {
    const rig = new RemoteRig('relay.test:25')
    rig.dns.host('relay.test', '127.0.0.1')
    const { deadHosts } = rig.equipment
    let now = 0
    Object.assign(deadHosts, { clock: { monotonic: () => now } })
    deadHosts.timedOut('127.0.0.1')
    deadHosts.timedOut('127.0.0.1')
    assert.equal(deadHosts.isDead('127.0.0.1'), false, 'two timeouts at once are one')
    now = 121_000
    deadHosts.timedOut('127.0.0.1')
    assert.equal(deadHosts.isDead('127.0.0.1'), true)
    assert.equal(await rig.report(), "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n")
    now += 98 * 60_000
    assert.equal(deadHosts.isDead('127.0.0.1'), false, 'not for ever')
    deadHosts.answered('127.0.0.1')
    deadHosts.timedOut('127.0.0.1')
    assert.equal(deadHosts.isDead('127.0.0.1'), false, 'an answer clears its record')
  })
})

describe('several recipients', () => {
  for (const pipelining of [false, true])
    it(`share a transaction, each with its own report, ${pipelining ? 'pipelined' : 'one by one'}`, async () => {
      const server = await ScriptedServer.listen([
        async (peer) => {
          await greet(peer, ...(pipelining ? ['PIPELINING', 'SIZE 1000', '8BITMIME'] : []))
          await peer.expect('MAIL', '250 ok\r\n')
          await peer.expect('RCPT', '250 ok\r\n')
          await peer.expect('RCPT', '550 no such\r\n')
          await peer.expect('RCPT', '450 later\r\n')
          await peer.expect('DATA', '354 go\r\n')
          await peer.content()
          peer.send('250 taken\r\n')
          await peer.tail()
        },
      ])
      const rig = new RemoteRig(`127.0.0.1:${server.port}`)
      const params = new Map([['BODY', '8BITMIME']])
      const recipients = ['a@t.example', 'b@t.example', 'c@t.example']
      assert.deepEqual(await rig.deliver({ recipients, params }), [
        { letter: 'K', text: '127.0.0.1 accepted message.\nRemote host said: 250 taken\n' },
        { letter: 'D', text: '127.0.0.1 does not like recipient.\nRemote host said: 550 no such\n' },
        { letter: 'Z', text: '127.0.0.1 does not like recipient.\nRemote host said: 450 later\n' },
      ])
      rig.close()
      await server.close()
      const mail = server.peers[0]?.received[1]
      assert.equal(mail, pipelining ? 'MAIL FROM:<s@x> SIZE=8 BODY=8BITMIME\r\n' : 'MAIL FROM:<s@x>\r\n')
    })

  it('all refused, pipelined: DATA’s answer is read, and the connection carries the next message after RSET', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer, 'PIPELINING')
        await peer.expect('MAIL', '250 ok\r\n')
        await peer.expect('RCPT', '550 no\r\n')
        await peer.expect('DATA', '503 nobody\r\n')
        await peer.expect('RSET', '250 ok\r\n')
        await takeMessage(peer)
        await peer.tail()
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    assert.match(await rig.report(), /^D127.0.0.1 does not like recipient.\nRemote host said: 550 no\nGiving up on /)
    assert.equal(await rig.report(), accepted('127.0.0.1'))
    rig.close()
    await server.close()
  })

  it('all refused, but 354: no final dot follows', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer, 'PIPELINING')
        await peer.expect('MAIL', '250 ok\r\n')
        await peer.expect('RCPT', '550 no\r\n')
        await peer.expect('DATA', '354 go\r\n')
        assert.equal(await peer.tail(), '')
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    assert.equal((await rig.report()).charAt(0), 'D')
    await server.close()
  })
})

describe('an address whose domain is none', () => {
  for (const domain of ['"y.test> SIZE=77 BODY=8BITMIME"', 'y.test> NOTIFY=NEVER', 'y test'])
    it(`${domain} is not said to another host, as a sender or as a recipient`, async () => {
      const server = await ScriptedServer.listen([
        async (peer) => {
          await greet(peer, 'SIZE', '8BITMIME')
          assert.doesNotMatch(await peer.tail(), /MAIL|RCPT/)
        },
      ])
      const rig = new RemoteRig(`127.0.0.1:${server.port}`)
      const noHost = `DSorry, I couldn't find any host named ${domain.replaceAll(' ', '?')}. (#5.1.2)\n`
      assert.equal(await rig.report({ recipients: [`r@${domain}`] }), noHost)
      const noSender = "DSorry, the sender's address has no domain that a host could have. (#5.1.7)\n"
      assert.equal(await rig.report({ sender: `s@${domain}` }), noSender)
      rig.close()
      await server.close()
    })
  it('the senders of bounces and VERP are said as they are', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer)
        await peer.expect('MAIL FROM:<#@[]>\r\n', '250 ok\r\n')
        await peer.tail()
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`, { replyMilliseconds: 200 })
    await rig.report({ sender: '#@[]' })
    rig.close()
    await server.close()
  })
})

describe('HELO', () => {
  it('follows a refused EHLO on the same connection', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        peer.send('220 old\r\n')
        await peer.expect('EHLO', '500 what\r\n')
        await peer.expect('HELO lab.test.example\r\n', '250 hi\r\n')
        await takeMessage(peer)
        await peer.tail()
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    assert.equal(await rig.report(), accepted('127.0.0.1'))
    rig.close()
    await server.close()
  })
  it('is said on a new connection when the server hangs up on EHLO', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        peer.send('220 older\r\n')
        await peer.line()
      },
      async (peer) => {
        peer.send('220 older\r\n')
        await peer.expect('HELO', '250 hi\r\n')
        await takeMessage(peer)
        await peer.tail()
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    assert.equal(await rig.report(), accepted('127.0.0.1'))
    rig.close()
    await server.close()
  })
})

describe('a kept connection', () => {
  it('carries the next message, without RSET', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer)
        await takeMessage(peer)
        await takeMessage(peer)
        assert.equal(await peer.tail(), 'QUIT\r\n')
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    assert.equal(await rig.report(), accepted('127.0.0.1'))
    assert.equal(await rig.report(), accepted('127.0.0.1'))
    rig.close()
    await server.close()
    assert.equal(server.peers.length, 1)
  })
  it('is given up after 100 messages', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer)
        for (let n = 0; n < 100; n++) await takeMessage(peer)
        assert.equal(await peer.tail(), 'QUIT\r\n')
      },
      acceptAll,
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    for (let n = 0; n < 101; n++) assert.equal(await rig.report(), accepted('127.0.0.1'))
    rig.close()
    await server.close()
    assert.equal(server.peers.length, 2)
  })
  it('is given up when it has been idle for 10 s', async () => {
    let now = 0
    let tick: () => void = () => undefined
    const clock: Clock = {
      now: () => now,
      monotonic: () => now,
      after(_, callback) {
        tick = callback
        return () => undefined
      },
    }
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer)
        await takeMessage(peer)
        assert.equal(await peer.tail(), 'QUIT\r\n')
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`, {}, clock)
    assert.equal(await rig.report(), accepted('127.0.0.1'))
    now = 9_999
    tick()
    assert.equal(server.peers[0]?.closed, false)
    now = 10_000
    tick()
    await server.close()
  })
  for (const answer of ['', '421 idle too long\r\n'])
    it(`that the server gives up (${answer.trim()}) is replaced silently`, async () => {
      const server = await ScriptedServer.listen([
        async (peer) => {
          await greet(peer)
          await takeMessage(peer)
          await peer.line()
          peer.send(answer)
        },
        acceptAll,
      ])
      const rig = new RemoteRig(`127.0.0.1:${server.port}`)
      assert.equal(await rig.report(), accepted('127.0.0.1'))
      assert.equal(await rig.report(), accepted('127.0.0.1'))
      rig.close()
      await server.close()
      assert.equal(server.peers.length, 2)
    })
})
