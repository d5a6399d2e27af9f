import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Authority } from '#test/kit/certificates.ts'
import { type Certificate, type Peer, ScriptedServer } from '#test/kit/scripted-server.ts'
import { without } from '#test/kit/tool.ts'
import { probeTarget } from './send-probe.ts'

async function probeOf(script: (peer: Peer) => Promise<void>) {
  const server = await ScriptedServer.listen([script])
  const target = { address: '127.0.0.1', port: server.port, name: 'mx.test' }
  const probed = await probeTarget(target, 'mail.example.org', 'you@example.org', 'who@elsewhere.test')
  await server.close()
  const [peer] = server.peers
  assert.ok(peer)
  return { probed, received: peer.received.map((line) => line.trimEnd()) }
}

describe('a probe of a server elsewhere', { skip: without('openssl') }, () => {
  let authority: Authority
  let certificate: Certificate
  before(() => {
    authority = new Authority()
    certificate = authority.issue('mx.test', 'DNS:mx.test')
  })
  after(() => authority.remove())

  it('says what it was told up to RCPT and how it was encrypted, and sends nothing after that', async () => {
    const { probed, received } = await probeOf(async (peer) => {
      peer.send('220 mx.test ESMTP\r\n')
      await peer.expect('EHLO mail.example.org', '250-mx.test\r\n250 STARTTLS\r\n')
      await peer.expect('STARTTLS', '220 go\r\n')
      await peer.startTls(certificate)
      await peer.expect('EHLO', '250 mx.test\r\n')
      await peer.expect('MAIL FROM:<you@example.org>', '250 ok\r\n')
      await peer.expect('RCPT TO:<who@elsewhere.test>', '550-5.1.1 nobody\r\n550 5.1.1 here\r\n')
      await peer.expect('QUIT', '221 bye\r\n')
      assert.equal(await peer.tail(), '')
    })
    assert.equal(probed.code, 550)
    assert.equal(probed.fault, '')
    assert.equal(probed.said.at(-1)?.reply, '550-5.1.1 nobody\r\n550 5.1.1 here')
    assert.match(probed.tls?.protocol ?? '', /^TLSv1\.[23]$/)
    assert.equal(probed.tls?.subject, 'mx.test')
    assert.match(probed.tls?.trouble ?? '', /UNABLE_TO/, 'no authority of this machine has signed it')
    assert.ok(!received.some((line) => line.startsWith('DATA')))
  })

  it('ends where it is refused, or hung up on, and says so', async () => {
    const { probed } = await probeOf(async (peer) => {
      peer.send('220 mx.test ESMTP\r\n')
      await peer.expect('EHLO', '250 mx.test\r\n')
      await peer.expect('MAIL', '451 not now\r\n')
    })
    assert.deepEqual([probed.code, probed.tls], [0, undefined])
    assert.match(probed.fault, /MAIL FROM:<you@example\.org> was answered 451/)
    const silent = await probeOf(() => Promise.resolve())
    assert.match(silent.probed.fault, /closed the connection|ECONNRESET/)
  })

  it('is told of a server that is not there', async () => {
    const probed = await probeTarget({ address: '127.0.0.1', port: 1, name: 'mx.test' }, 'h', '', 'who@elsewhere.test')
    assert.match(probed.fault, /ECONNREFUSED/)
  })
})
