/** Servers that mean us harm, or do not know better: a reply never takes more bytes or time than its limit, and a content
 *  that is cut short is never ended. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connectTo } from '../../src/clients/smtp/connection.ts'
import { Deadlines } from '../../src/clients/smtp/deadlines.ts'
import { ContentError } from '../../src/clients/smtp/transaction.ts'
import { replyBytesMax } from '../../src/protocols/smtp/reply-parser.ts'
import { type Clock, realClock } from '../../src/system/clock.ts'
import { RemoteRig } from '../kit/remote-rig.ts'
import { type Peer, type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { greet, takeMessage } from '../kit/scripts.ts'

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

describe('a host that drips', () => {
  const minute = 60_000
  /** Real timers, and a clock that the script puts forward. */
  function world(): { clock: Clock; pass: (milliseconds: number) => void } {
    let ahead = 0
    const monotonic = (): number => realClock.monotonic() + ahead
    return { clock: { ...realClock, monotonic }, pass: (milliseconds) => void (ahead += milliseconds) }
  }
  /** Each answer up to RCPT takes four minutes (RCPT's not without content), the last as long as is said. */
  async function against(contentBytes: number, lastMinutes: number): Promise<string> {
    const { clock, pass } = world()
    const slowly = async (peer: Peer, command: string, answer: string): Promise<void> => {
      await peer.expect(command, '')
      pass(4 * minute)
      // The deadlines are looked at four times a second.
      await new Promise((resolve) => setTimeout(resolve, 400))
      peer.send(answer)
    }
    const server = await ScriptedServer.listen([
      async (peer) => {
        peer.send('220 hi\r\n')
        await slowly(peer, 'EHLO', '250 hi\r\n')
        await slowly(peer, 'MAIL', '250 ok\r\n')
        if (contentBytes > 0) await slowly(peer, 'RCPT', '250 ok\r\n')
        else await peer.expect('RCPT', '250 ok\r\n')
        await peer.expect('DATA', '354 go\r\n')
        await peer.content()
        pass(lastMinutes * minute)
        await new Promise((resolve) => setTimeout(resolve, 400))
        peer.send('250 taken\r\n')
        await peer.tail()
      },
    ])
    const settings = { replyMilliseconds: 20 * minute }
    const rig = new RemoteRig(`127.0.0.1:${server.port}`, settings, realClock, clock)
    const report = await rig.report({ contentBytes })
    rig.close()
    await server.close().catch(() => undefined)
    return report.slice(0, 1)
  }
  it('has a total time, in proportion to the size', async () => {
    assert.equal(await against(1, 0), 'Z')
    assert.equal(await against(8 * 1024 * 1024, 0), 'K')
  })
  it('that has the whole message is waited for beyond it: it may be about to accept', async () => {
    assert.equal(await against(0, 9), 'K')
  })
})

describe('a host that has its share of attempts', () => {
  it('gets no more, whatever their domains; they are given back untried', async () => {
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const server = await ScriptedServer.listen([
      async (peer) => {
        await held
        await greet(peer)
        await takeMessage(peer)
        await peer.tail()
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`, { attemptsPerRelay: 3 })
    const attempts = Array.from({ length: 5 }, (_, n) => rig.attempt({ recipients: [`r@d${n}.example`] }))
    assert.deepEqual(await Promise.all(attempts.slice(3)), ['crowded', 'crowded'])
    release()
    for (const reports of await Promise.all(attempts.slice(0, 3)))
      assert.equal(reports === 'crowded' ? reports : reports[0]?.class, 2)
    assert.equal(server.peers.length, 3)
    rig.close()
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
