/** A socket of ours and those who connect to it with bad intentions. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { encodeFrame, type Frame, FrameReader } from '../contracts/frame.ts'
import { encodeHello } from '../contracts/hello.ts'
import { bindPath } from './bind.ts'
import { realClock } from './clock.ts'
import type { FrameConnection } from './frame-connection.ts'
import { FrameServer } from './frame-server.ts'

const hello = encodeHello({ purpose: 'login', uid: 0 })

describe('frame server', () => {
  let path = ''
  let directory = ''
  let server: FrameServer
  const log: string[] = []
  let onFrame: (connection: FrameConnection, frame: Frame) => void = () => undefined
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-frames-'))
    path = join(directory, 's')
    const bound = bindPath(path, 0o600)
    bound.listen()
    server = new FrameServer(bound.fd, {
      socket: 'lspawn-login',
      purpose: 'login',
      clock: realClock,
      log: (line) => log.push(line),
      connectionsMax: 3,
      accept: (connection) => ({ onFrame: (frame) => onFrame(connection, frame), onClose: () => undefined }),
    })
  })
  after(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })
  beforeEach(() => void log.splice(0))

  async function come(...bytes: readonly Buffer[]): Promise<Socket> {
    const socket = connect({ path })
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    for (const part of bytes) socket.write(part)
    return socket
  }
  const closed = async (socket: Socket): Promise<void> => {
    socket.resume()
    if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
  }

  const giant = Buffer.alloc(5)
  giant.writeUInt32BE(64 * 1024 + 1)
  for (const [name, bytes, reason] of [
    ['no hello', encodeFrame(184, Buffer.from('x')), /frame type 184 before hello/],
    ['another purpose', encodeHello({ purpose: 'tickets', uid: 0 }), /a connection for tickets/],
    [
      'an unknown purpose',
      encodeFrame(1, Buffer.from([0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 65])),
      /unknown purpose "A"/,
    ],
    ['another version', encodeFrame(1, Buffer.from([0, 9, 0, 0, 0, 0, 0, 0, 0, 0])), /contract version 9/],
    ['half a hello', encodeFrame(1, Buffer.from([0])), /payload too short/],
    ['a frame of no length', Buffer.alloc(8), /frame of 0 bytes/],
    ['a frame larger than any of ours', giant, /frame of 65537 bytes/],
  ] as const) {
    it(`closes on ${name}, with one line in the log`, async () => {
      const socket = await come(bytes)
      await closed(socket)
      assert.equal(log.length, 1)
      assert.match(log[0] ?? '', new RegExp(`^warning: connection on lspawn-login closed: ${reason.source}`))
    })
  }

  it('one that asks on and reads no answers is closed', async () => {
    let asked = 0
    onFrame = (connection) => {
      asked++
      connection.send(encodeFrame(186, Buffer.alloc(1000)))
    }
    const socket = await come(hello)
    socket.pause()
    const question = encodeFrame(184, Buffer.alloc(10))
    const questions = Buffer.concat(Array.from({ length: 100 }, () => question))
    while (log.length === 0) {
      if (socket.writableLength < 4 * questions.length) socket.write(questions)
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.destroy()
    assert.match(log[0] ?? '', /asks on and leaves \d+ bytes unread/)
    assert.ok(asked < 5_000, `${asked}`)
  })

  it('serves so many at once; the others find it closed, and room comes back', async () => {
    onFrame = (connection) => connection.send(encodeFrame(185))
    const ask = encodeFrame(184)
    const three = await Promise.all([come(hello, ask), come(hello, ask), come(hello, ask)])
    await Promise.all(three.map((socket) => once(socket, 'data')))
    await closed(await come(hello, ask))
    three[0]?.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const next = await come(hello, ask)
    await once(next, 'data')
    for (const socket of [...three, next]) socket.destroy()
  })
})

describe('frames', () => {
  it('come whole however they are cut', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 9000 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(payloads, fc.array(fc.nat(5000), { minLength: 1 }), (parts, cuts) => {
        const bytes = Buffer.concat(parts.map((part, at) => encodeFrame(at + 1, part)))
        const found: [number, string][] = []
        const reader = new FrameReader()
        for (let at = 0, n = 0; at < bytes.length; n++) {
          const length = (cuts[n % cuts.length] ?? 0) + 1
          reader.push(bytes.subarray(at, at + length), ({ type, payload }) =>
            found.push([type, payload.toString('hex')]),
          )
          at += length
        }
        assert.deepEqual(
          found,
          parts.map((part, at) => [at + 1, Buffer.from(part).toString('hex')]),
        )
        assert.equal(reader.hasPart, false)
      }),
      { numRuns: 50 },
    )
  })

  it('cost no more than their bytes when they come one by one', () => {
    const reader = new FrameReader()
    const frame = encodeFrame(1, Buffer.alloc(500_000))
    const earlier = heldBytes()
    for (let at = 0; at + 1 < frame.length; at++)
      reader.push(Buffer.from(frame.subarray(at, at + 1)), () => assert.fail('not whole yet'))
    assert.ok(reader.hasPart)
    assert.ok(heldBytes() - earlier < 16 * 1024 * 1024)
  })
})

/** What is still referred to, whatever the collector was about to do. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
