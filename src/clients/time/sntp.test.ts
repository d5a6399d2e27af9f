import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { it } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { clockOffset } from './sntp.ts'

/** A server whose clock is `behindMs` behind ours. */
async function server(behindMs: number, first: number, stratum: number) {
  const socket = createSocket('udp4')
  socket.on('message', (_, { port, address }) => {
    const answer = Buffer.alloc(48)
    answer[0] = first
    answer[1] = stratum
    const time = (Date.now() - behindMs) / 1000 + 2_208_988_800
    answer.writeUInt32BE(Math.floor(time), 40)
    answer.writeUInt32BE(Math.floor((time % 1) * 2 ** 32), 44)
    socket.send(answer, port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

const ask = (port: number) => clockOffset('127.0.0.1', 300, realClock, port)

it('says how far our clock is ahead', async () => {
  const socket = await server(3_600_000, 0x24, 2)
  const offset = (await ask(socket.address().port)) ?? Number.NaN
  assert.ok(Math.abs(offset - 3_600_000) < 5_000, String(offset))
  socket.close()
})

it('believes no server that is not sure, or is none, and waits for nobody', async () => {
  for (const [first, stratum] of [
    [0x24, 0],
    [0x24, 16],
    [0x23, 2],
  ] as const) {
    const socket = await server(0, first, stratum)
    assert.equal(await ask(socket.address().port), undefined)
    socket.close()
  }
  const silent = createSocket('udp4')
  silent.bind(0, '127.0.0.1')
  await once(silent, 'listening')
  assert.equal(await ask(silent.address().port), undefined)
  silent.close()
})
