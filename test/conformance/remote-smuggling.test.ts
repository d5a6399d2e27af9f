/** Whatever a message holds, what leaves has one end: no CR or LF alone, and no line but the last that is one dot. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ContentEncoder } from '../../src/protocols/smtp/content-encoder.ts'
import { RemoteRig } from '../kit/remote-rig.ts'
import { ScriptedServer } from '../kit/scripted-server.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'

interface Cases {
  readonly cases: readonly { readonly id: string; readonly repr: string; readonly bytes_b64: string }[]
}

const file = ['suites', 'smtp-smuggling', 'cases.json'] as const
const smuggled = 'MAIL FROM:<smuggled@test>\r\nRCPT TO:<victim@test>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\nx\r\n.\r\n'

function messageWith(lookAlike: Buffer): Buffer {
  return Buffer.concat([Buffer.from('Subject: x\n\ntext'), lookAlike, Buffer.from(smuggled)])
}

function assertOneEnd(sent: string, what: string): void {
  assert.doesNotMatch(sent, /\r(?!\n)|(?<!\r)\n/, `${what}: a bare CR or LF`)
  const lines = sent.split('\r\n')
  assert.equal(lines.indexOf('.'), lines.length - 2, `${what}: an end before the end`)
}

describe('outbound smuggling', { skip: skipWithout(...file) }, () => {
  const cases = sharedJson<Cases>(...file)?.cases ?? []
  it('has its 98 cases', () => assert.equal(cases.length, 98))

  for (const { id, repr, bytes_b64 } of cases)
    it(`${id} ${repr}, cut at each of its bytes`, () => {
      const lookAlike = Buffer.from(bytes_b64, 'base64')
      const content = messageWith(lookAlike)
      const whole = new ContentEncoder().encode(content).toString('latin1')
      assertOneEnd(`${whole}.\r\n`, id)
      const start = content.indexOf('text') + 4
      for (let at = start - 1; at <= start + lookAlike.length + 1; at++) {
        const encoder = new ContentEncoder()
        const parts = [content.subarray(0, at), content.subarray(at)].map((part) => encoder.encode(part))
        assert.equal(Buffer.concat(parts).toString('latin1'), whole, `cut at ${at}`)
      }
    })

  it('all of them over a connection, pipelined: as many messages arrive as were sent', async () => {
    const contents: string[] = []
    const server = await ScriptedServer.listen([
      async (peer) => {
        peer.send('220 hi\r\n')
        await peer.expect('EHLO', '250-x\r\n250 PIPELINING\r\n')
        for (;;) {
          const line = await peer.line()
          if (line === 'QUIT\r\n' || line === '') return
          assert.equal(line, 'MAIL FROM:<s@x>\r\n')
          peer.send('250 ok\r\n')
          await peer.expect('RCPT', '250 ok\r\n')
          await peer.expect('DATA', '354 go\r\n')
          contents.push(await peer.content())
          peer.send('250 taken\r\n')
        }
      },
    ])
    const rig = new RemoteRig(`127.0.0.1:${server.port}`)
    for (const { id, bytes_b64 } of cases) {
      const content = messageWith(Buffer.from(bytes_b64, 'base64')).toString('latin1')
      const report = await rig.report({ content })
      assert.equal(report.charAt(0), 'K', id)
    }
    rig.close()
    await server.close()
    assert.equal(contents.length, cases.length)
    for (const [index, sent] of contents.entries()) assertOneEnd(sent, cases[index]?.id ?? '')
  })
})
