/** Servers that are not to the letter, change their mind, or cannot do what they offer: what they say is the answer, what
 *  can only mean one thing is read as that, and an acceptance is never followed by a second sending. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Deadlines } from '../../src/clients/smtp/deadlines.ts'
import { openSession } from '../../src/clients/smtp/session.ts'
import { TlsContexts } from '../../src/clients/smtp/tls-contexts.ts'
import { noHostPolicy, planTls } from '../../src/clients/smtp/tls-plan.ts'
import { realClock } from '../../src/system/clock.ts'
import { against, noTlsFacts, RemoteRig } from '../kit/remote-rig.ts'
import { type Peer, type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { accepted, acceptAll, greet, takeMessage } from '../kit/scripts.ts'

function commands(server: ScriptedServer): string[] {
  return server.peers.map((peer) => peer.received.map((line) => line.slice(0, 4).trim()).join(' '))
}

async function upToContent(peer: Peer): Promise<void> {
  await greet(peer)
  await peer.expect('MAIL', '250 ok\r\n')
  await peer.expect('RCPT', '250 ok\r\n')
  await peer.expect('DATA', '354 go\r\n')
}

describe('a refusal of EHLO', () => {
  for (const answer of ['421 4.3.2 closing', '451 not now', '550 not you', '501 bad name'])
    it(`${answer}: no HELO, not on this connection and not on another`, async () => {
      const { reports, server } = await against([
        async (peer) => {
          peer.send('220 hi\r\n')
          await peer.expect('EHLO', `${answer}\r\n`)
          if (!answer.startsWith('421')) await peer.tail()
        },
      ])
      const words = 'ZConnected to 127.0.0.1 but my name was rejected.\nRemote host said: '
      assert.deepEqual(reports, [`${words}${answer}\n`])
      assert.doesNotMatch(commands(server).join(' '), /HELO/)
    })
  for (const answer of ['421 closing', '451 not now', '554 not you'])
    it(`${answer}: the next address is asked`, async () => {
      const refuses: Script = async (peer) => {
        peer.send('220 hi\r\n')
        await peer.expect('EHLO', `${answer}\r\n`)
        await peer.tail()
      }
      const [first, second] = await ScriptedServer.pair([refuses], [acceptAll])
      const rig = new RemoteRig(`relay.test:${second.port}`)
      rig.dns.host('relay.test', '127.0.0.1', '127.0.0.2')
      assert.equal(await rig.report(), accepted('127.0.0.2'))
      rig.close()
      await first.close()
      await second.close()
    })
  for (const answer of ['500 what', '502 not here', '504 no'])
    it(`${answer}: HELO on the same connection`, async () => {
      const { reports } = await against([
        async (peer) => {
          peer.send('220 hi\r\n')
          await peer.expect('EHLO', `${answer}\r\n`)
          await peer.expect('HELO', '250 hi\r\n')
          await takeMessage(peer)
          await peer.tail()
        },
      ])
      assert.deepEqual(reports, [accepted('127.0.0.1')])
    })
})

describe('a refusal before its time', () => {
  const large = Buffer.alloc(10 * 1024 * 1024, 'x'.repeat(70) + '\n')
  const content = function* (): Generator<Buffer> {
    for (let at = 0; at < large.length; at += 65_536) yield large.subarray(at, at + 65_536)
    yield Buffer.from('\n')
  }
  for (const [what, refusal, letter] of [
    ['for good, right behind 354', '554 5.7.1 no', 'D'],
    ['for now', '452 4.3.1 full', 'Z'],
  ] as const)
    it(`${what}: it is the answer, and nothing is ended`, async () => {
      const { reports, server } = await against(
        [
          async (peer) => {
            await greet(peer)
            await peer.expect('MAIL', '250 ok\r\n')
            await peer.expect('RCPT', '250 ok\r\n')
            await peer.expect('DATA', `354 go\r\n${refusal}\r\n`)
            await peer.tail()
          },
        ],
        { content },
      )
      assert.deepEqual(reports, [`${letter}127.0.0.1 failed after I sent the message.\nRemote host said: ${refusal}\n`])
      assert.doesNotMatch(server.peers[0]?.received.at(-1) ?? '', /^\.\r\n/m)
    })
  it('with an orderly close, and without reading on', async () => {
    const { reports } = await against(
      [
        async (peer) => {
          await upToContent(peer)
          peer.send('552 5.3.4 too large\r\n')
        },
      ],
      { content },
    )
    assert.deepEqual(reports, ['D127.0.0.1 failed after I sent the message.\nRemote host said: 552 5.3.4 too large\n'])
  })
  it('an acceptance before the final dot is none', async () => {
    const { reports } = await against(
      [
        async (peer) => {
          await upToContent(peer)
          peer.send('250 taken already\r\n')
          await peer.tail()
        },
      ],
      { content },
    )
    assert.deepEqual(reports, ['ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n'])
  })
  it('between the commands: it answers the next', async () => {
    const { reports } = await against([
      async (peer) => {
        await greet(peer)
        peer.send('421 4.7.0 go away\r\n')
        await peer.tail()
      },
    ])
    assert.deepEqual(reports, [
      'ZConnected to 127.0.0.1 but sender was rejected.\nRemote host said: 421 4.7.0 go away\n',
    ])
  })
})

describe('replies that are not to the letter', () => {
  it('empty lines behind them are nothing', async () => {
    const { reports } = await against([
      async (peer) => {
        peer.send('220 hi\r\n\r\n')
        await peer.expect('EHLO', '250 hi\r\n\r\n')
        await peer.expect('MAIL', '250 ok\r\n\r\n\r\n')
        await peer.expect('RCPT', '250 ok\r\n\r\n')
        await peer.expect('DATA', '354 go\r\n\r\n')
        await peer.content()
        peer.send('250 taken\r\n\r\n')
        await peer.tail()
      },
    ])
    assert.deepEqual(reports, [accepted('127.0.0.1')])
  })
  it('greetings and extensions in lines without dashes are one reply', async () => {
    const { reports, server } = await against([
      async (peer) => {
        peer.send('220 hi\r\n220 we are old\r\n')
        await peer.expect('EHLO', '250 hi\r\n250 SIZE 1000\r\n250 8BITMIME\r\n')
        await peer.expect('MAIL', '250 ok\r\n')
        await peer.expect('RCPT', '250 ok\r\n')
        await peer.expect('DATA', '354 go\r\n')
        await peer.content()
        peer.send('250 taken\r\n')
        await peer.tail()
      },
    ])
    assert.deepEqual(reports, [accepted('127.0.0.1')])
    assert.match(server.peers[0]?.received[1] ?? '', /^MAIL FROM:<[^>]*> SIZE=/)
  })
  it('a greeting that turns into a refusal is one', async () => {
    const { reports } = await against([
      async (peer) => {
        peer.send('220-wait\r\n521 5.3.2 I take no mail\r\n')
        await peer.tail()
      },
    ])
    const words = 'ZConnected to 127.0.0.1 but greeting failed.\nRemote host said: '
    assert.deepEqual(reports, [`${words}220-wait\n521 5.3.2 I take no mail\n`])
  })
  for (const [what, said] of [
    ['two codes of success', '250-queued\r\n251 ok\r\n'],
    ['a line that is no reply behind it', '250 queued\r\nas 4711\r\n'],
    ['text without a code before it', 'ok queued\r\n250 ok\r\n'],
    ['text without a code within', '250-queued\r\nas 4711\r\n250 done\r\n'],
    ['an end that never comes', '250-queued\r\n'],
    ['no line end', '250 queued'],
  ] as const)
    it(`after the dot, ${what}: accepted, and sent once`, async () => {
      const { reports, server } = await against([
        async (peer) => {
          await upToContent(peer)
          await peer.content()
          peer.send(said)
        },
      ])
      assert.equal(reports[0]?.slice(0, 28), 'K127.0.0.1 accepted message.')
      assert.equal(server.peers.length, 1)
    })
  it('after the dot, success and then silence: accepted', async () => {
    const { reports } = await against(
      [
        async (peer) => {
          await upToContent(peer)
          await peer.content()
          peer.send('250-queued\r\n')
          await peer.tail()
        },
      ],
      {},
      { replyMilliseconds: 300 },
    )
    assert.equal(reports[0]?.slice(0, 28), 'K127.0.0.1 accepted message.')
  })
  it('a refusal that breaks off is a refusal', async () => {
    const { reports } = await against([
      async (peer) => {
        await greet(peer)
        await peer.expect('MAIL', '550-5.7.1 your network\r\n550-is not wel')
      },
    ])
    const words = 'DConnected to 127.0.0.1 but sender was rejected.\nRemote host said: '
    assert.deepEqual(reports, [`${words}550-5.7.1 your network\n550-is not wel\n`])
  })
  it('what cannot be read is in the log', async () => {
    const { reports, logged } = await against([
      async (peer) => {
        peer.send('HTTP/1.1 400 Bad Request\r\n')
        await peer.tail()
      },
    ])
    assert.deepEqual(reports, ['ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n'])
    const words = 'warning: 127.0.0.1 said what is no reply, or what it was not asked for: '
    assert.deepEqual(logged, [`${words}HTTP/1.1 400 Bad Request`])
  })
})

describe('a server that bears our name', () => {
  for (const [what, greeting, answer] of [
    ['in its greeting', '220 Mail.Example.NET ESMTP', '250 other.example'],
    ['in its answer to EHLO', '220 ESMTP ready', '250-mail.example.net.\r\n250 SIZE'],
  ] as const)
    it(`${what}: it is us, and the mail waits`, async () => {
      const server = await ScriptedServer.listen([
        async (peer) => {
          peer.send(`${greeting}\r\n`)
          await peer.line()
          peer.send(`${answer}\r\n`)
          await peer.tail()
        },
      ])
      const target = { address: '127.0.0.1', port: server.port, name: 'mx.test' }
      const opened = await openSession(
        {
          target,
          helo: 'helo.test',
          tls: planTls(target, { ...noTlsFacts, forbidden: true }, { login: false, requireTls: false }, noHostPolicy),
          login: undefined,
          unwanted: new Set(),
          ownNames: new Set(['mail.example.net']),
          connectMilliseconds: 1_000,
          limits: { replyMillisecondsMax: 1_000, totalDeadline: Number.POSITIVE_INFINITY },
          onMisread: () => undefined,
          onTls: () => undefined,
        },
        new TlsContexts(() => undefined),
        new Deadlines(realClock),
      )
      assert.deepEqual(opened, {
        kind: 'ourselves',
        status: {
          class: 4,
          subject: 4,
          detail: 6,
          peerText: 'Connected to 127.0.0.1 but it bears my own name: it is this host. (#4.4.6)\n',
          logText: '',
          answer: { name: 'mx.test', address: '127.0.0.1', code: 0, lines: '' },
        },
      })
      await server.close()
    })
  it('behind a route it may be another program of this host', async () => {
    const { reports } = await against([
      async (peer) => {
        peer.send('220 lab.test.example filter\r\n')
        await peer.expect('EHLO', '250 lab.test.example\r\n')
        await takeMessage(peer)
        await peer.tail()
      },
    ])
    assert.deepEqual(reports, [accepted('127.0.0.1')])
  })
})
