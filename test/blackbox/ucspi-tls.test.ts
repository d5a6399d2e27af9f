/** qmail-smtpd behind a server that makes the handshake when it is asked to (UCSPI-TLS, as sslserver -n): the server here is ours,
 *  the client is Node's. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { Authority } from '../kit/certificates.ts'
import { launcher } from '../kit/programs.ts'
import { without } from '../kit/tool.ts'

const tlsFds = { SSLCTLFD: '3', SSLREADFD: '4', SSLWRITEFD: '5' }

describe('STARTTLS by UCSPI-TLS', { skip: without('openssl') }, () => {
  const home = mkdtempSync(join(tmpdir(), 'quaver-ucspi-'))
  const authority = new Authority()
  const { cert, key } = authority.issue('me.test', 'DNS:me.test')
  let server: Server
  let port = 0
  /** What the helper does when it is asked. */
  let helper: 'agrees' | 'fails' = 'agrees'
  let log = ''
  let ended: Promise<unknown> = Promise.resolve()

  before(async () => {
    mkdirSync(join(home, 'control'))
    writeFileSync(join(home, 'control/me'), 'me.test\n')
    for (const name of ['greetdelay', 'qmail-smtpd']) symlinkSync(launcher, join(home, name))
    server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, serve).listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as { port: number }).port
  })
  after(() => {
    server.close()
    authority.remove()
    rmSync(home, { recursive: true, force: true })
  })

  function serve(accepted: Socket): void {
    log = ''
    // By way of a program in front, as sites have it.
    const child = spawn(join(home, 'greetdelay'), [join(home, 'qmail-smtpd'), '--home', home], {
      stdio: [accepted, accepted, 'pipe', 'pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        PROTO: 'TCP',
        TCPREMOTEIP: '192.0.2.7',
        RELAYCLIENT: '',
        UCSPITLS: '',
        ...tlsFds,
      },
    })
    child.stderr?.on('data', (bytes: Buffer) => (log += String(bytes)))
    ended = once(child, 'exit')
    descriptor(child, 3).once('data', (order: Buffer) => {
      assert.equal(String(order), 'Y')
      if (helper === 'fails') return descriptor(child, 3).destroy()
      const secure = new TLSSocket(accepted, { isServer: true, cert, key })
      secure.on('error', () => undefined)
      secure.once('secure', () => {
        descriptor(child, 3).write(
          `SSL_PROTOCOL=${secure.getProtocol()}\0SSL_CIPHER=${secure.getCipher().standardName}\0\0`,
        )
        secure.pipe(descriptor(child, 4))
        descriptor(child, 5).pipe(secure)
      })
    })
  }

  function descriptor(child: ChildProcess, fd: number): Socket {
    const stream = (child.stdio as readonly unknown[])[fd]
    assert.ok(stream instanceof Socket)
    stream.on('error', () => undefined)
    return stream
  }

  /** Sends, and waits for as many whole replies. */
  async function ask(socket: Socket, input: string, replies: RegExp): Promise<string> {
    let said = ''
    const heard = new Promise<string>((resolve) => {
      const hear = (bytes: Buffer): void => {
        said += String(bytes)
        if (!replies.test(said)) return
        socket.off('data', hear)
        resolve(said)
      }
      socket.on('data', hear)
      socket.once('close', () => resolve(said))
    })
    if (input !== '') socket.write(input)
    return await heard
  }

  it('goes on in TLS as a new session, after the helper has made the handshake', async () => {
    helper = 'agrees'
    const plain = connect(port, '127.0.0.1')
    await ask(plain, '', /\n$/)
    assert.match(await ask(plain, 'EHLO x\r\n', /^250 [^\n]*\n$/m), /^250-STARTTLS\r$/m)
    assert.match(await ask(plain, 'STARTTLS\r\n', /\n$/), /^220 /)
    const secure = connectTls({ socket: plain, ca: authority.caPem, servername: 'me.test' })
    await once(secure, 'secureConnect')
    assert.match(await ask(secure, 'MAIL FROM:<a@b>\r\n', /\n$/), /^250 ok/)
    const again = await ask(secure, 'EHLO x\r\n', /^250 [^\n]*\n$/m)
    assert.doesNotMatch(again, /STARTTLS/)
    assert.match(await ask(secure, 'STARTTLS\r\n', /\n$/), /^503 |^502 /)
    assert.match(await ask(secure, 'QUIT\r\n', /\n$/), /^221 /)
    secure.destroy()
    assert.deepEqual(await ended, [0, null])
  })

  it('ends without a word where the handshake fails', async () => {
    helper = 'fails'
    const plain = connect(port, '127.0.0.1')
    await ask(plain, '', /\n$/)
    await ask(plain, 'EHLO x\r\n', /^250 [^\n]*\n$/m)
    await ask(plain, 'STARTTLS\r\n', /\n$/)
    assert.deepEqual(await ended, [1, null])
    assert.match(log, /^qmail-smtpd: .*handshake the helper has gone$/m)
    plain.destroy()
  })
})
