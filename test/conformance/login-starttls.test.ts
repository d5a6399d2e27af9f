/** STARTTLS and STLS command injection and its kin against the fronts of submission and POP3: nothing sent in clear is ever
 *  executed inside TLS, and no password is taken in clear. */
import type { LoginService } from '../../src/contracts/services.ts'
import assert from 'node:assert/strict'
import { describe, it, test, type TestContext } from 'node:test'
import type { LoginLimits } from '../../src/programs/login/limits.ts'
import { LoginServer } from '../kit/login-server.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'
import { BareClient, selfSigned } from '../kit/smtpd-server.ts'

const tlsOrder = selfSigned()
const skip = tlsOrder === undefined ? 'no openssl to make a certificate' : false

interface Served {
  readonly server: LoginServer
  readonly client: BareClient
}

async function serve(t: TestContext, service: LoginService, limits: Partial<LoginLimits> = {}): Promise<Served> {
  const server = new LoginServer(service, tlsOrder, limits)
  t.after(() => server.stop())
  const client = BareClient.to(await server.listen())
  t.after(() => client.destroy())
  await client.until(/^(220|\+OK) .*\r\n$/)
  if (service === 'submission') {
    client.say('EHLO x\r\n')
    const extensions = await client.until(/250 SIZE\r\n$/)
    assert.match(extensions, /250-STARTTLS\r\n/)
    assert.doesNotMatch(extensions, /AUTH/)
  }
  return { server, client }
}

/** Long enough for a reply that must not come. */
async function assertSilent(client: BareClient): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(client.heard, '')
}

async function assertFresh(client: BareClient): Promise<void> {
  await client.handshake()
  await assertSilent(client)
  client.say('MAIL FROM:<a@b>\r\n')
  // Without an enhanced code: EHLO is forgotten.
  assert.equal(await client.until(/\r\n/), '530 authup authentication required (#5.7.0)\r\n')
  client.say('EHLO y\r\n')
  const extensions = await client.until(/250 SIZE\r\n$/)
  assert.doesNotMatch(extensions, /STARTTLS/)
  assert.match(extensions, /250-AUTH PLAIN LOGIN\r\n/)
}

test('the suite holds the cases below', { skip: skipWithout('suites', 'starttls-injection', 'cases.json') }, () => {
  const suite = sharedJson<{ server: { id: string; proto: string }[] }>('suites', 'starttls-injection', 'cases.json')
  const ids = (proto: string) => suite?.server.filter((one) => one.proto === proto).map(({ id }) => id)
  assert.deepEqual(
    ids('smtp'),
    Array.from({ length: 12 }, (_, n) => `S${n + 1}`),
  )
  assert.deepEqual(ids('pop3'), ['P1', 'P2', 'P3'])
})

describe('submission before its login', { skip }, () => {
  const injections: [id: string, plain: string][] = [
    ['S1', 'STARTTLS\r\nEHLO commandinjectiontester\r\n'],
    ['S2', 'STARTTLS\r\nRSET\r\n'],
    ['S3', 'STARTTLS\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n'],
    ['S7 inside', 'STARTTLS\r\nAUTH PLAIN AHUAcA==\r\n'],
    ['S8', 'RSET\r\nSTARTTLS\r\n'],
    ['S9', 'STARTTLS\n'],
  ]
  for (const [id, plain] of injections) {
    it(`${id} ${JSON.stringify(plain)}`, async (t) => {
      const { client, server } = await serve(t, 'submission')
      client.say(plain)
      await client.until(/220 2\.0\.0 ready to start TLS\r\n$/)
      await assertFresh(client)
      assert.deepEqual(server.asked, [])
    })
  }

  it('S4 MAIL begins no transaction, so STARTTLS is not inside one', async (t) => {
    const { client } = await serve(t, 'submission')
    client.say('MAIL FROM:<a@b>\r\nSTARTTLS\r\n')
    const replies = await client.until(/220 .*\r\n$/)
    assert.match(replies, /^530 5\.7\.0 authup authentication required/)
    await assertFresh(client)
  })

  it('S5 parameters are refused', async (t) => {
    const { client } = await serve(t, 'submission')
    client.say('STARTTLS foo\r\n')
    assert.match(await client.until(/\r\n/), /^501 5\.5\.4 syntax error, no parameters allowed/)
  })

  it('S6 inside TLS it is neither offered nor done', async (t) => {
    const { client } = await serve(t, 'submission')
    client.say('STARTTLS\r\n')
    await client.until(/^220 /)
    await assertFresh(client)
    client.say('STARTTLS\r\n')
    assert.match(await client.until(/\r\n/), /^503 5\.5\.1 /)
  })

  it('S7 AUTH in clear is refused, whatever comes with it, and nobody looks at the password', async (t) => {
    const { client, server } = await serve(t, 'submission')
    for (const line of ['AUTH PLAIN AHUAcA==', 'AUTH PLAIN', 'AUTH LOGIN dQ==', 'auth SCRAM-SHA-256', 'AUTH']) {
      client.say(`${line}\r\n`)
      assert.equal(await client.until(/\r\n/), '530 5.7.0 authup must start TLS first (#5.7.0)\r\n', line)
    }
    assert.deepEqual(server.asked, [])
  })
})

describe('POP3 before its login', { skip }, () => {
  for (const [id, plain] of [
    ['P1', 'STLS\r\nCAPA\r\n'],
    ['P1 with AUTH', 'STLS\r\nAUTH PLAIN AHUAcA==\r\n'],
    ['P1 with a bare LF', 'STLS\nCAPA\n'],
  ] as const) {
    it(`${id} ${JSON.stringify(plain)}`, async (t) => {
      const { client, server } = await serve(t, 'pop3')
      client.say(plain)
      await client.until(/^\+OK .*\r\n$/)
      await client.handshake()
      await assertSilent(client)
      client.say('CAPA\r\n')
      const capabilities = await client.until(/\r\n\.\r\n$/)
      assert.doesNotMatch(capabilities, /STLS/)
      assert.match(capabilities, /\r\nUSER\r\n[^]*SASL PLAIN LOGIN\r\n/)
      assert.deepEqual(server.asked, [])
    })
  }

  it('P2 what was said before STLS is forgotten', async (t) => {
    const { client, server } = await serve(t, 'pop3')
    client.say('USER u\r\nSTLS\r\nPASS p\r\n')
    await client.until(/^-ERR .*\r\n\+OK .*\r\n$/)
    await client.handshake()
    await assertSilent(client)
    client.say('PASS p\r\n')
    assert.equal(await client.until(/\r\n/), '-ERR authup USER first\r\n')
    assert.deepEqual(server.asked, [])
  })

  it('P3 USER, PASS and AUTH in clear are refused, and CAPA does not list them', async (t) => {
    const { client, server } = await serve(t, 'pop3')
    client.say('CAPA\r\n')
    const capabilities = await client.until(/\r\n\.\r\n$/)
    assert.match(capabilities, /\r\nSTLS\r\n/)
    assert.doesNotMatch(capabilities, /USER|SASL/)
    for (const line of ['USER u', 'PASS p', 'AUTH PLAIN AHUAcA==', 'AUTH LOGIN']) {
      client.say(`${line}\r\n`)
      assert.equal(await client.until(/\r\n/), '-ERR authup must start TLS first\r\n', line)
    }
    assert.deepEqual(server.asked, [])
  })

  it('inside TLS, STLS is not done again', async (t) => {
    const { client } = await serve(t, 'pop3')
    client.say('STLS\r\n')
    await client.until(/^\+OK /)
    await client.handshake()
    client.say('STLS\r\n')
    assert.match(await client.until(/\r\n/), /^-ERR /)
  })
})

for (const [service, command, agreed] of [
  ['submission', 'STARTTLS', /^220 2\.0\.0 ready to start TLS\r\n$/],
  ['pop3', 'STLS', /^\+OK \r\n$/],
] as const) {
  describe(`the handshake of ${service}`, { skip }, () => {
    it('S10 its beginning behind the command is not taken for a command', async (t) => {
      const { client, server } = await serve(t, service, { handshakeMillisecondsMax: 300 })
      client.say(`${command}\r\n\x16\x03`)
      assert.match(await client.untilClosed(), agreed)
      assert.equal(server.connections.size, 0)
    })

    it('S11 garbage instead of it: no reply in clear, nothing leaks', async (t) => {
      const { client, server } = await serve(t, service)
      client.say(`${command}\r\n`)
      await client.until(agreed)
      client.say('garbage not TLS, NOOP\r\nNOOP\r\n')
      assert.doesNotMatch(await client.untilClosed(), /\d{3}[ -]|OK|ERR/)
      assert.equal(server.connections.size, 0)
    })

    it('S12 silence instead of it ends in time', async (t) => {
      const { client, server } = await serve(t, service, { handshakeMillisecondsMax: 300 })
      client.say(`${command}\r\n`)
      await client.until(agreed)
      assert.equal(await client.untilClosed(), '')
      assert.equal(server.connections.size, 0)
    })

    it('X2 a client that offers other protocols by ALPN is not served', async (t) => {
      const { client, server } = await serve(t, service)
      client.say(`${command}\r\n`)
      await client.until(agreed)
      await assert.rejects(client.handshake(['h2', 'http/1.1']))
      while (server.connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    })

    it('AUTH PLAIN and then * gives one reply', async (t) => {
      const { client } = await serve(t, service)
      client.say(`${command}\r\n`)
      await client.until(agreed)
      await client.handshake()
      client.say('AUTH PLAIN\r\n')
      assert.match(await client.until(/\r\n/), /^(334|\+) \r\n$/)
      client.say('*\r\nNOOP\r\n')
      const [cancelled = '', noop = '', ...more] = (await client.until(/\r\n.*\r\n/)).split('\r\n')
      assert.match(cancelled, /^(501 |-ERR )authup authentication cancelled/)
      assert.match(noop, /^(250|\+OK) /)
      assert.deepEqual(more, [''])
      await assertSilent(client)
    })
  })
}

describe('another protocol on the port of submission', { skip }, () => {
  it('X1 HTTP is closed at its first line', async (t) => {
    const { client } = await serve(t, 'submission')
    client.say('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n')
    assert.match(await client.untilClosed(), /^502 5\.5\.1 unimplemented \(#5\.5\.1\)\r\n$/)
  })
})
