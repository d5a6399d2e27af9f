import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { ServerTls } from '../../system/server-tls.ts'
import { Connections } from './connections.ts'
import { doorLimits } from './limits.ts'

test('a connection whose handshake cannot begin is closed, and the next one too', async (t) => {
  const log: string[] = []
  const say = (): string => ''
  const connections = new Connections(doorLimits, realClock, (line) => log.push(line), {
    isProxy: () => false,
    say,
    settingFor: () => ({
      environment: new Map([['TCPREMOTEIP', '127.0.0.1']]),
      limits: doorLimits,
      clock: realClock,
      log: (line) => log.push(line),
      // No certificate was given.
      tls: new ServerTls(),
      protocol: 'pop3',
      implicitTls: true,
      open: () => assert.fail('nothing is said in clear'),
      say,
    }),
  })
  const server = createServer((socket) => connections.accept(socket)).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  for (let n = 0; n < 2; n++) {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => undefined)
    await new Promise((resolve) => socket.resume().once('close', resolve))
  }
  assert.equal(connections.size, 0)
  assert.equal(
    log.filter((line) => line.includes('no-certificate') || line.includes('no certificate')).length,
    2,
    log.join('\n'),
  )
})
