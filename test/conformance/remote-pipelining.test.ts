/** Servers that offer PIPELINING and cannot do it: they are asked one command after the other. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { against } from '../kit/remote-rig.ts'
import type { Script } from '../kit/scripted-server.ts'
import { accepted, greet, takeMessage } from '../kit/scripts.ts'

describe('PIPELINING that is offered and not kept', () => {
  const plain: Script = async (peer) => {
    await greet(peer, 'PIPELINING')
    for (const [command, answer] of [
      ['MAIL', '250 ok\r\n'],
      ['RCPT', '250 ok\r\n'],
      ['DATA', '354 go\r\n'],
    ] as const) {
      await peer.expect(command, answer)
      assert.equal(peer.unread, '', `sent behind ${command}`)
    }
    await peer.content()
    peer.send('250 taken\r\n')
    await peer.tail()
  }
  const losers: [string, Script][] = [
    [
      'commands behind the first are lost',
      async (peer) => {
        await greet(peer, 'PIPELINING')
        await peer.expect('MAIL', '250 ok\r\n')
        await peer.tail()
      },
    ],
    [
      'it hangs up on them',
      async (peer) => {
        await greet(peer, 'PIPELINING')
        await peer.expect('MAIL', '250 ok\r\n')
      },
    ],
    [
      'commands that come together are all lost',
      async (peer) => {
        await greet(peer, 'PIPELINING')
        await peer.tail()
      },
    ],
    [
      'it takes commands that come together for one that it does not know',
      async (peer) => {
        await greet(peer, 'PIPELINING')
        await peer.expect('MAIL', '500 5.5.1 what?\r\n')
        await peer.tail()
      },
    ],
    [
      'DATA is answered with another success',
      async (peer) => {
        await greet(peer, 'PIPELINING')
        await peer.expect('MAIL', '250 ok\r\n250 ok\r\n250 ok\r\n')
        await peer.tail()
      },
    ],
  ]
  for (const [what, script] of losers)
    it(`${what}: one by one on a new connection, and from then on`, async () => {
      const { reports, server, logged } = await against([script, plain, plain], {}, { replyMilliseconds: 400 }, 2)
      assert.deepEqual(reports, [accepted('127.0.0.1'), accepted('127.0.0.1')])
      assert.equal(server.peers.length, 3)
      assert.match(logged[0] ?? '', /^warning: PIPELINING with 127\.0\.0\.1 failed, trying without: /)
    })
  it('a server that refuses the sender and hangs up has refused', async () => {
    const refuses: Script = async (peer) => {
      await greet(peer, 'PIPELINING')
      await peer.expect('MAIL', '550 5.7.1 not you\r\n')
    }
    const { reports, server } = await against([refuses])
    assert.match(reports[0] ?? '', /^DConnected to 127\.0\.0\.1 but sender was rejected\./)
    assert.equal(server.peers.length, 1)
  })
  it('control/noextensions keeps us from it', async () => {
    const { reports, server } = await against([plain], {}, { unwantedExtensions: () => new Set(['PIPELINING']) })
    assert.deepEqual(reports, [accepted('127.0.0.1')])
    assert.equal(server.peers.length, 1)
  })
  it('and from EHLO', async () => {
    const old: Script = async (peer) => {
      peer.send('220 hi\r\n')
      await peer.expect('HELO lab.test.example\r\n', '250 hi\r\n')
      await takeMessage(peer)
      await peer.tail()
    }
    const { reports } = await against([old], {}, { unwantedExtensions: () => new Set(['EHLO']) })
    assert.deepEqual(reports, [accepted('127.0.0.1')])
  })
})
