/** Servers that mean us harm, or do not know better: a reply never takes more bytes or time than its limit, and a content
 *  that is cut short is never ended. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connectTo } from '../../src/clients/smtp/connection.ts'
import { Deadlines } from '../../src/clients/smtp/deadlines.ts'
import { ContentError } from '../../src/clients/smtp/transaction.ts'
import { replyBytesMax } from '../../src/protocols/smtp/reply-parser.ts'
import { realClock } from '../../src/system/clock.ts'
import { RemoteRig } from '../kit/remote-rig.ts'
import { type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { greet } from '../kit/scripts.ts'

describe('hostile replies', () => {
  const died = 'ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n'
  async function against(script: Script): Promise<string> {
    const server = await ScriptedServer.listen([script])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`, { replyMilliseconds: 1_000 })
    const report = await rig.report()
    rig.close()
    await server.close()
    return report
  }
  it('an endless reply is cut off (C6)', async () => {
    let sent = 0
    const report = await against(async (peer) => {
      while (sent < 4 * replyBytesMax && !peer.closed) {
        peer.send(`220-${'x'.repeat(100)}\r\n`)
        sent += 106
        await new Promise(setImmediate)
      }
    })
    assert.equal(report, died)
  })
  it('one line without end is cut off', async () => {
    const report = await against(async (peer) => {
      peer.send(`220 ${'x'.repeat(2 * replyBytesMax)}`)
      await peer.tail()
    })
    assert.equal(report, died)
  })
  it('a reply that nobody asked for is no answer (C5)', async () => {
    const report = await against(async (peer) => {
      peer.send('220 one\r\n220 two\r\n')
      await peer.tail()
    })
    assert.equal(report, died)
  })
  it('a slow reply has its time limit (C7)', async () => {
    const report = await against(async (peer) => {
      peer.send('2')
      await peer.tail()
    })
    assert.equal(report, died)
  })
  for (const bad of ['hello', '2500 x', '250_x', '999 x', '25', ''])
    it(`${JSON.stringify(bad)} is no reply`, async () => {
      const report = await against(async (peer) => {
        peer.send(`${bad}\r\n`)
        await peer.tail()
      })
      assert.equal(report, died)
    })
  it('an answer to DATA that is not 354 gets no content', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer)
        await peer.expect('MAIL', '250 ok\r\n')
        await peer.expect('RCPT', '250 ok\r\n')
        await peer.expect('DATA', '250 fine\r\n')
        assert.match(await peer.tail(), /^$/)
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    assert.equal(await rig.report(), 'Z127.0.0.1 failed on DATA command.\nRemote host said: 250 fine\n')
    rig.close()
    await server.close()
  })
})

describe('the total deadline', () => {
  it('ends what each single limit would allow', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        while (!peer.closed) {
          peer.send('220-still here\r\n')
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      },
    ])
    const target = { address: '127.0.0.1', port: server.port, name: '127.0.0.1' }
    const connected = await connectTo(target, 5_000, new Deadlines(realClock))
    assert.ok(connected.kind === 'connected')
    const { connection } = connected
    connection.useLimits({ replyMillisecondsMax: 300_000, totalDeadline: realClock.monotonic() + 200 })
    assert.equal(await connection.reply(300_000), undefined)
    assert.equal(connection.lostBecause, 'timeout')
    await server.close()
  })
})

describe('content that is cut short', () => {
  it('never gets a final dot', async () => {
    const server = await ScriptedServer.listen([
      async (peer) => {
        await greet(peer)
        await peer.expect('MAIL', '250 ok\r\n')
        await peer.expect('RCPT', '250 ok\r\n')
        await peer.expect('DATA', '354 go\r\n')
        assert.doesNotMatch(await peer.tail(), /^\.\r\n/m)
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    const content = function* (): Generator<Buffer> {
      yield Buffer.from('A: b\n\nwhole line\n')
      yield Buffer.from('another\n')
      throw new ContentError('the disk is gone')
    }
    assert.equal(await rig.report({ content }), 'ZUnable to read message. (#4.3.0)\n')
    await server.close()
  })
})
