/** Servers that close before they have judged the message: the next address is asked. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RemoteRig } from '../kit/remote-rig.ts'
import { type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { accepted, acceptAll, greet } from '../kit/scripts.ts'

describe('a server that closes before it has judged the message', () => {
  const toMail =
    (answer: string): Script =>
    async (peer) =>
      void (await peer.expect('MAIL', answer))
  const closing: readonly (readonly [string, Script])[] = [
    ['421 to MAIL', toMail('421 4.3.2 closing\r\n')],
    ['a hang-up on MAIL', toMail('')],
    [
      '421 to the first recipient',
      async (peer) => {
        await peer.expect('MAIL', '250 ok\r\n')
        await peer.expect('RCPT', '421 4.3.2 closing\r\n')
      },
    ],
  ]
  const withSecond = async (script: Script, others: readonly Script[], recipients: readonly string[]) => {
    const greets: Script = async (peer) => {
      await greet(peer)
      await script(peer)
    }
    const [first, second] = await ScriptedServer.pair([greets], others)
    const rig = new RemoteRig(`relay.test:${second.port}`)
    rig.dns.host('relay.test', '127.0.0.1', '127.0.0.2')
    const reports = await rig.deliver({ recipients })
    rig.close()
    await first.close()
    await second.close()
    return { reports: reports.map(({ letter, text }) => letter + text), asked: second.peers.length }
  }
  for (const [what, script] of closing) {
    it(`${what}: the next address is asked`, async () => {
      const { reports } = await withSecond(script, [acceptAll], ['r@t.example'])
      assert.deepEqual(reports, [accepted('127.0.0.2')])
    })
    it(`${what}, everywhere: later`, async () => {
      const too: Script = async (peer) => {
        await greet(peer)
        await script(peer)
      }
      const { reports, asked } = await withSecond(script, [too], ['r@t.example'])
      assert.match(reports.join(' '), /^Z.*127\.0\.0\.2/)
      assert.equal(asked, 1)
    })
  }
  it('any other refusal of MAIL is the answer', async () => {
    const { reports, asked } = await withSecond(toMail('451 4.7.1 greylisted\r\n'), [], ['r@t.x'])
    assert.match(reports.join(' '), /^Z.*127\.0\.0\.1/)
    assert.equal(asked, 0)
  })
})
