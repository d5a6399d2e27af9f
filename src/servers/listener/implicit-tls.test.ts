import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { describe, it, type TestContext } from 'node:test'
import { selfSigned } from '#test/kit/smtpd-server.ts'
import { without } from '#test/kit/tool.ts'
import type { TlsOrder } from '../../contracts/supervise.ts'
import { realClock } from '../../system/clock.ts'
import { ServerTls } from '../../system/server-tls.ts'
import { Connections } from './connections.ts'
import type { Dialogue, FrontPort } from './dialogue.ts'
import { listenerLimits } from './limits.ts'

class Greeting implements Dialogue {
  readonly pendingBytes = 0
  private readonly port: FrontPort

  constructor(port: FrontPort) {
    this.port = port
  }
  greet(): void {
    this.port.send('+OK hello\r\n')
  }
  receive(): void {}
  receiveEnd(): void {}
  tlsStarted(): void {}
  tick(): void {}
  shutdown(): void {}
  abort(): void {}
}

async function serve(t: TestContext, order: TlsOrder | undefined, isProxy: boolean) {
  const log: string[] = []
  const say = (): string => ''
  const tls = new ServerTls()
  if (order !== undefined) assert.equal(tls.give(order), undefined)
  const setting = {
    environment: new Map([['TCPREMOTEIP', '127.0.0.1']]),
    limits: listenerLimits,
    clock: realClock,
    log: (line: string) => log.push(line),
    tls,
    protocol: 'pop3',
    implicitTls: true,
    open: (port: FrontPort) => new Greeting(port),
    say,
  }
  const entrance = { isProxy: () => isProxy, say, settingFor: () => setting }
  const connections = new Connections(listenerLimits, realClock, setting.log, entrance)
  const server = createServer((socket) => connections.accept(socket)).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return { connections, log, port: (server.address() as AddressInfo).port }
}

/** Puts a text before the first bytes that go out, in one piece with them. */
function behind(text: string, socket: Socket): Duplex {
  let rest = Buffer.from(text)
  const stream = new Duplex({
    read() {},
    write(bytes: Buffer, _encoding, done) {
      socket.write(Buffer.concat([rest, bytes]), done)
      rest = Buffer.alloc(0)
    },
  })
  socket.on('data', (bytes) => stream.push(bytes))
  socket.on('end', () => stream.push(null))
  return stream
}

describe('TLS before the first word', () => {
  it('a connection whose handshake cannot begin is closed, and the next one too', async (t) => {
    const { connections, log, port } = await serve(t, undefined, false)
    for (let n = 0; n < 2; n++) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      await new Promise((resolve) => socket.resume().once('close', resolve))
    }
    assert.equal(connections.size, 0)
    assert.equal(log.filter((line) => /no.certificate/.test(line)).length, 2, log.join('\n'))
  })

  it('begins in the same piece as a proxy’s header', { skip: without('openssl') }, async (t) => {
    const { port } = await serve(t, selfSigned(), true)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const header = 'PROXY TCP4 192.0.2.1 198.51.100.1 4711 995\r\n'
    const secure = connectTls({ socket: behind(header, socket), rejectUnauthorized: false })
    const [said] = (await once(secure, 'data')) as [Buffer]
    assert.equal(said.toString('latin1'), '+OK hello\r\n')
    secure.destroy()
    socket.destroy()
  })
})
