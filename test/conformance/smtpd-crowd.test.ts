/** A thousand clients that say a byte and no more: each is told and let go, and meanwhile mail is taken. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { BareClient, SmtpServer } from '#test/kit/smtpd-server.ts'

const crowd = 1000
/** Both ends of each connection are in this process; one end alone takes about 9 KiB. */
const bytesPerConnectionMax = 64 * 1024
const atOnce = 100

async function slow(port: number): Promise<{ socket: Socket; heard: Promise<string> }> {
  const socket = connect({ port, host: '127.0.0.1' })
  let heard = ''
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')))
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(heard)))
  await new Promise<void>((resolve) => socket.once('data', () => resolve()))
  socket.write('E')
  return { socket, heard: closed }
}

test('a crowd of slow clients', { timeout: 60_000 }, async (t) => {
  const server = new SmtpServer({ control: { timeoutsmtpd: '3\n' } })
  t.after(() => server.stop())
  const port = await server.listen()
  const before = process.memoryUsage().rss
  const clients: Awaited<ReturnType<typeof slow>>[] = []
  t.after(() => clients.forEach(({ socket }) => socket.destroy()))
  while (clients.length < crowd) clients.push(...(await Promise.all(Array.from({ length: atOnce }, () => slow(port)))))
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < crowd * bytesPerConnectionMax, `${Math.round(grown / crowd)} bytes a connection`)

  const mail = BareClient.to(port)
  await mail.until(/^220 /)
  mail.say('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\n\r\nhello\r\n.\r\nQUIT\r\n')
  assert.match(await mail.untilClosed(), /250 ok \d+ qp 4711/)

  for (const { heard } of clients) assert.match(await heard, /\r\n451 timeout \(#4\.4\.2\)\r\n$/)
  while (server.connections.size > 0) await new Promise((resolve) => setImmediate(resolve))
})
