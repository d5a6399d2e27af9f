/** STARTTLS command injection and its kin against a real socket: nothing sent in clear is ever executed inside TLS. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { sharedJson, skipWithout } from '../kit/shared.ts'
import { BareClient, selfSigned, SmtpServer } from '../kit/smtpd-server.ts'
import type { Limits } from '../../src/programs/smtpd/limits.ts'

interface Case {
  readonly id: string
  readonly proto: string
}

const tlsOrder = selfSigned()
const skip = tlsOrder === undefined ? 'no openssl to make a certificate' : false

async function serve(
  t: TestContext,
  limits: Partial<Limits> = {},
): Promise<{ server: SmtpServer; client: BareClient }> {
  const server = new SmtpServer({ limits }, tlsOrder)
  t.after(() => server.stop())
  const client = BareClient.to(await server.listen())
  t.after(() => client.destroy())
  await client.until(/^220 .*\r\n/)
  client.say('EHLO x\r\n')
  assert.match(await client.until(/250 8BITMIME\r\n/), /250-STARTTLS\r\n/)
  return { server, client }
}

/** Nothing is said inside TLS before the client speaks, and then the state is fresh. */
async function assertFresh(client: BareClient): Promise<void> {
  await client.handshake()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(client.heard, '')
  client.say('DATA\r\n')
  assert.equal(await client.until(/\r\n/), '503 MAIL first (#5.5.1)\r\n')
  client.say('EHLO y\r\n')
  assert.doesNotMatch(await client.until(/250 8BITMIME\r\n/), /STARTTLS/)
}

test('the suite holds the cases below', { skip: skipWithout('suites', 'starttls-injection', 'cases.json') }, () => {
  const suite = sharedJson<{ server: Case[] }>('suites', 'starttls-injection', 'cases.json')
  const ids = suite?.server.filter(({ proto }) => proto === 'smtp').map(({ id }) => id)
  assert.deepEqual(
    ids,
    Array.from({ length: 12 }, (_, n) => `S${n + 1}`),
  )
})

const injections: [id: string, plain: string][] = [
  ['S1', 'STARTTLS\r\nEHLO commandinjectiontester\r\n'],
  ['S2', 'STARTTLS\r\nRSET\r\n'],
  ['S3', 'STARTTLS\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n'],
  ['S4', 'MAIL FROM:<a@b>\r\nSTARTTLS\r\n'],
  ['S8', 'RSET\r\nSTARTTLS\r\n'],
  ['S9', 'STARTTLS\n'],
]
for (const [id, plain] of injections) {
  test(`${id} ${JSON.stringify(plain)}`, { skip }, async (t) => {
    const { client } = await serve(t)
    client.say(plain)
    await client.until(/220 2\.0\.0 ready to start TLS\r\n$/)
    await assertFresh(client)
  })
}

test('S5 parameters are refused', { skip }, async (t) => {
  const { client } = await serve(t)
  client.say('STARTTLS foo\r\n')
  assert.match(await client.until(/\r\n/), /^501 5\.5\.4 syntax error, no parameters allowed/)
})

test('S6 inside TLS it is neither offered nor done', { skip }, async (t) => {
  const { client } = await serve(t)
  client.say('STARTTLS\r\n')
  await client.until(/^220 /)
  await assertFresh(client)
  client.say('STARTTLS\r\n')
  assert.match(await client.until(/\r\n/), /^503 5\.5\.1 /)
  client.say('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n')
  assert.match(await client.untilClosed(), /250 2\.0\.0 ok \d+ qp 4711\r\n221 2\.0\.0 /)
})

test('S7 AUTH is not there', { skip }, async (t) => {
  const { client } = await serve(t)
  client.say('AUTH PLAIN AHUAcA==\r\n')
  assert.match(await client.until(/\r\n/), /^502 5\.5\.1 unimplemented/)
})

test('S10 the beginning of a handshake behind STARTTLS is not taken for SMTP', { skip }, async (t) => {
  const { client, server } = await serve(t, { handshakeMillisecondsMax: 300 })
  client.say('STARTTLS\r\n\x16\x03')
  assert.match(await client.untilClosed(), /^220 2\.0\.0 ready to start TLS\r\n$/)
  assert.equal(server.connections.size, 0)
})

test('S11 garbage instead of a handshake: no reply in clear, nothing leaks, and the log says why', {
  skip,
}, async (t) => {
  const { client, server } = await serve(t)
  client.say('STARTTLS\r\n')
  await client.until(/^220 /)
  client.say('garbage not TLS, NOOP\r\nNOOP\r\n')
  assert.doesNotMatch(await client.untilClosed(), /\d{3}[ -]/)
  assert.equal(server.connections.size, 0)
  assert.match(
    server.log.find((line) => line.startsWith('refused')) ?? '',
    /^refused 127\.0\.0\.1 handshake [^\n]*wrong version number[^\n]*:$/i,
  )
})

test('S12 silence instead of a handshake ends in time', { skip }, async (t) => {
  const { client, server } = await serve(t, { handshakeMillisecondsMax: 300 })
  client.say('STARTTLS\r\n')
  await client.until(/^220 /)
  assert.equal(await client.untilClosed(), '')
  const refusals = server.log.filter((line) => line.startsWith('refused'))
  assert.deepEqual([server.connections.size, refusals.length], [0, 1])
})

test('X1 HTTP on our port is closed at its first line', { skip }, async (t) => {
  const { client } = await serve(t)
  client.say('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n')
  assert.equal(await client.untilClosed(), '502 5.5.1 unimplemented (#5.5.1)\r\n')
})

test('X2 a client that offers other protocols by ALPN is not served', { skip }, async (t) => {
  const { client, server } = await serve(t)
  client.say('STARTTLS\r\n')
  await client.until(/^220 /)
  await assert.rejects(client.handshake(['h2', 'http/1.1']))
  while (server.connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
})
