import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { BareClient, SmtpServer } from '#test/kit/smtpd-server.ts'
import type { World } from '#test/kit/smtpd.ts'

const message = 'MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n'

async function serve(t: TestContext, world?: World): Promise<{ server: SmtpServer; port: number }> {
  const server = new SmtpServer(world)
  t.after(() => server.stop())
  return { server, port: await server.listen() }
}

async function greeted(port: number, localAddress?: string): Promise<BareClient> {
  const client = BareClient.to(port, localAddress)
  await client.until(/^220 .*\r\n/)
  return client
}

test('a message over a socket; the peer may close its half before the answer', async (t) => {
  const { server, port } = await serve(t)
  const client = await greeted(port)
  client.say(message)
  client.finish()
  assert.match(await client.untilClosed(), /354 go ahead\r\n250 ok \d+ qp 4711\r\n$/)
  assert.equal(server.enqueuer.taken.length, 1)
})

test('what is sent before the greeting is an early talker’s', async (t) => {
  const { server, port } = await serve(t)
  const client = BareClient.to(port)
  client.say(message)
  assert.match(await client.untilClosed(), /^554 smtp protocol violation \(#5\.5\.1\)\r\n$/)
  assert.equal(server.enqueuer.taken.length, 0)
})

test('one message of some megabytes, through back-pressure, arrives whole', async (t) => {
  const { server, port } = await serve(t)
  const client = await greeted(port)
  client.say('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\n\r\n')
  const lines = 60_000
  client.say(`${'x'.repeat(76)}\r\n`.repeat(lines))
  client.say('.\r\nQUIT\r\n')
  assert.match(await client.untilClosed(), /250 ok \d+ qp 4711\r\n221 /)
  const [taken] = server.enqueuer.taken
  assert.equal(taken?.content.slice(taken.content.indexOf('\n\n') + 2).length, lines * 77)
})

test('a fault in the middle of a large body: the reply arrives although the peer is still sending', async (t) => {
  const { server, port } = await serve(t)
  const client = await greeted(port)
  client.say('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\n\r\nbare\n')
  client.say(Buffer.alloc(4_000_000, 'x\r\n'))
  await client.until(/554 bare LF/)
  client.finish()
  await client.untilClosed()
  assert.equal(server.enqueuer.taken.length, 0)
})

test('a peer that vanishes in the middle leaves nothing behind', async (t) => {
  const { server, port } = await serve(t)
  const client = await greeted(port)
  client.say(`${message.slice(0, -3)}more\r\n`)
  await client.until(/354/)
  client.destroy()
  while (server.connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(server.enqueuer.taken.length, 0)
})

test('stop: 421 to the idle, and the running message is finished', async (t) => {
  const { server, port } = await serve(t)
  const idle = await greeted(port)
  const running = await greeted(port)
  running.say('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\nhello\r\n')
  await running.until(/354/)
  const stopped = server.stop()
  assert.match(await idle.untilClosed(), /^421 shutting down/)
  running.say('.\r\n')
  assert.match(await running.untilClosed(), /250 ok \d+ qp 4711\r\n421 shutting down/)
  await stopped
  assert.equal(server.connections.size, 0)
})

test('stop does not wait for ever', async (t) => {
  const { server, port } = await serve(t, { limits: { stopMillisecondsMax: 50 } })
  const client = await greeted(port)
  client.say('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\n')
  await client.until(/354/)
  await server.stop()
  await client.untilClosed()
})

/** A socket from anywhere: this machine has only loopback to connect from. */
class FarSocket extends Duplex {
  readonly remoteAddress: string
  readonly remotePort = 40000
  readonly localAddress = '192.0.2.1'
  readonly localPort = 25
  said = ''
  constructor(remoteAddress: string) {
    super()
    this.remoteAddress = remoteAddress
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.said += chunk.toString('latin1')
    callback()
  }
}

test('so many connections from one address or /64, so many in all; loopback is free', async (t) => {
  const { server } = await serve(t, {
    limits: { connectionsMax: 4, connectionsPerPeerMax: 2, lingerMillisecondsMax: 50 },
  })
  const from = async (address: string): Promise<FarSocket> => {
    const socket = new FarSocket(address)
    server.connections.accept(socket as unknown as Socket)
    while (socket.said === '') await new Promise((resolve) => setImmediate(resolve))
    return socket
  }
  const first = await from('2001:db8::1')
  assert.match(first.said, /^220 /)
  assert.match((await from('2001:db8::2')).said, /^220 /)
  assert.match((await from('2001:db8::3')).said, /^421 too many connections from your address/)
  assert.match((await from('::ffff:192.0.2.9')).said, /^220 /)
  assert.match((await from('192.0.2.10')).said, /^220 /)
  assert.match((await from('192.0.2.11')).said, /^421 too many connections, try again later/)
  for (let n = 0; n < 10; n++) assert.match((await from('127.0.0.1')).said, /^220 /)
  first.destroy()
  while (server.connections.size > 13) await new Promise((resolve) => setImmediate(resolve))
  assert.match((await from('2001:db8::4')).said, /^220 /)
  assert.equal(server.log.filter((line) => line.startsWith('refused ')).length, 2)
})

test('twenty addresses that hold all places do not keep others out', async (t) => {
  const { server } = await serve(t, {
    limits: { connectionsMax: 60, connectionsPerPeerMax: 3, lingerMillisecondsMax: 50 },
  })
  const from = async (address: string): Promise<FarSocket> => {
    const socket = new FarSocket(address)
    server.connections.accept(socket as unknown as Socket)
    while (socket.said === '') await new Promise((resolve) => setImmediate(resolve))
    return socket
  }
  const held: FarSocket[] = []
  for (let n = 0; n < 60; n++) held.push(await from(`192.0.${n % 20}.9`))
  for (let n = 0; n < 40; n++) assert.match((await from(`198.51.${n}.1`)).said, /^220 /, String(n))
  const told = held.filter(({ said }) => said.includes('\r\n421 '))
  assert.equal(told.length, 40)
  assert.equal(new Set(held.filter((one) => !told.includes(one)).map(({ remoteAddress }) => remoteAddress)).size, 20)
  assert.equal(server.log.filter((line) => line.endsWith(' place-given-up:')).length, 40)
})
