/** What one user of the machine can take of the socket on which all hand in their mail. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { EnqueueClient } from '../../src/clients/queue/enqueue.ts'
import { handOn } from '../../src/clients/queue/enqueuer.ts'
import { encodeEnqueueRequest } from '../../src/contracts/enqueue.ts'
import { noParams, relayedParam } from '../../src/contracts/envelope.ts'
import { encodeHello } from '../../src/contracts/hello.ts'
import { handInConnectionsPerUidMax } from '../../src/programs/queue/limits.ts'
import { socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { connectPath } from '../../src/system/frame-connection.ts'
import { QueueProcess } from '../kit/queue-process.ts'

const envelope = { sender: 's@me.example', recipients: ['r@x.example'] }

describe('queue-inject', () => {
  const queue = new QueueProcess({ me: 'me.example\n', databytes: '1000000\n' })
  const path = socketPath(queue.home, 'queue-inject')
  const client = new EnqueueClient(() => connectPath(path), realClock)
  const sockets: Socket[] = []
  before(() => queue.start())
  after(async () => {
    client.close()
    for (const socket of sockets) socket.destroy()
    await queue.dispose()
  })

  async function send(bytes: number): Promise<string> {
    const sink = client.open(envelope, noParams)
    for (let left = bytes; left > 0; left -= 50_000) await sink.write(Buffer.alloc(Math.min(left, 50_000), 'x'))
    const outcome = await sink.close('', noParams)
    return outcome.done ? 'queued' : `${outcome.failure.class} ${outcome.failure.peerText}`
  }

  it('who hands in is told by the kernel, whatever the frame says', async () => {
    const uid = process.getuid?.() ?? 0
    const connection = await queue.connect('queue-inject', 'enqueue', uid + 4711, () => undefined)
    connection.send(
      encodeEnqueueRequest({
        kind: 'submit',
        ref: 1,
        params: noParams,
        envelope,
        head: '',
        body: [Buffer.from('x\n')],
      }),
    )
    const [, id] = await queue.logged(new RegExp(`info msg (\\d+): .* uid ${uid}\\n`))
    const [row] = await queue.ask({ op: 'show', id: Number(id) })
    const head = Buffer.from(String(row?.['content']), 'base64').toString('latin1')
    assert.match(head, new RegExp(`^Received: \\(qmail ${id} invoked by uid ${uid}\\);`))
  })

  it('that somebody is relayed for is smtpd’s word alone, as it comes or behind the content', async () => {
    const relayed = new Map([
      [relayedParam, '192.0.2.1'],
      ['BODY', '8BITMIME'],
    ])
    const paramsOf = async (id: number): Promise<unknown> => (await queue.ask({ op: 'show', id }))[0]?.['params']
    const whole = await handOn(client.open(envelope, relayed), '', [Buffer.from('x\n')])
    const large = client.open(envelope, relayed)
    await large.write(Buffer.alloc(900_000, 'x'))
    for (const taken of [whole, await large.close('', relayed)]) {
      assert.ok(taken.done)
      assert.deepEqual(await paramsOf(taken.value), { BODY: '8BITMIME' })
    }
    const bySmtpd = await queue.submit(envelope, relayed, Buffer.from('x\n'))
    assert.ok(bySmtpd.done)
    assert.deepEqual(await paramsOf(bySmtpd.value), Object.fromEntries(relayed))
  })

  it('takes what databytes allows and a new header, and no more', async () => {
    assert.equal(await send(1_000_000), 'queued')
    assert.equal(await send(1_060_000), 'queued')
    assert.equal(await send(1_100_000), '5 sorry, that message size exceeds my databytes limit (#5.3.4)')
    const long = 'X-Long: x\n'.repeat(10_000)
    const withHead = await handOn(client.open(envelope, noParams), long, [Buffer.alloc(1_000_000, 'x')])
    assert.equal(withHead.done, false, 'the head counts')
    const relayed = await queue.submit(envelope, noParams, Buffer.alloc(1_100_000, 'x'))
    assert.ok(relayed.done, 'what came over the network was measured by smtpd')
  })

  it('one uid has so many connections, and gets them back', async () => {
    const open = new Set<Socket>()
    for (let n = 0; n < handInConnectionsPerUidMax + 50; n++) {
      const socket = await connectPath(path)
      sockets.push(socket)
      open.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => open.delete(socket))
    }
    for (let n = 0; n < 500 && open.size > handInConnectionsPerUidMax; n++)
      await new Promise((resolve) => setTimeout(resolve, 10))
    assert.ok(open.size <= handInConnectionsPerUidMax, `${open.size} are open`)
    await queue.logged(/too many connections on queue-inject/)
    for (const socket of sockets.splice(0)) {
      socket.destroy()
      if (open.has(socket)) await once(socket, 'close')
    }
    for (let n = 0; ; n++) {
      const outcome = await handOn(client.open(envelope, noParams), '', [Buffer.from('x\n')])
      if (outcome.done) break
      assert.ok(n < 100, outcome.failure.logText)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })

  it('frames that are never finished cost a bounded memory', async () => {
    const part = Buffer.alloc(1_900_000)
    // A frame of 2,000,000 bytes.
    part.writeUInt32BE(2_000_000, 0)
    part.writeUInt8(16, 4)
    let closed = 0
    for (let n = 0; n < 150; n++) {
      const socket = await connectPath(path)
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => closed++)
      socket.write(encodeHello({ purpose: 'enqueue', uid: 0 }))
      socket.write(part)
    }
    await queue.logged(/closed: too many bytes of unfinished frames/)
    for (let n = 0; n < 500 && closed < 130; n++) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.ok(closed >= 130, `${closed} of 150 are closed`)
    const told = queue.log.match(/closed: too many bytes/g)?.length ?? 0
    assert.ok(told < 20, `${told} lines of the log`)
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${queue.pid}/status`, 'utf8'))?.[1]) / 1024
    assert.ok(peak < 400, `${Math.round(peak)} MB`)
  })
})
