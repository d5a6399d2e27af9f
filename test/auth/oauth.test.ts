/** The real issuers and authd processes, against an issuer of our own on loopback. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { AuthdProcess } from '#test/kit/authd-process.ts'
import { Authority } from '#test/kit/certificates.ts'
import { without } from '#test/kit/tool.ts'
import type { AuthStep } from '../../src/clients/auth/auth-client.ts'
import { locksFrom } from '../../src/programs/authd/limits.ts'
import { setDisabled } from '../../src/stores/credentials/credentials.ts'
import { programArguments } from '#test/kit/programs.ts'

const anna = 'anna@example.test'
const wrong = { kind: 'rejected', why: 'credentials' }

describe('OAUTHBEARER and XOAUTH2', { skip: without('openssl') }, () => {
  const authd = new AuthdProcess()
  let server: Server
  let authority: Authority
  let issuers: ChildProcess | undefined
  let issuersLog = ''
  let issuer = ''
  let keyPair: Awaited<ReturnType<typeof generateKeyPair>>
  let documents: Readonly<Record<string, unknown>> = {}

  const token = async (claims: JWTPayload, expires = '5m', key = keyPair.privateKey): Promise<string> =>
    await new SignJWT({ iss: issuer, aud: 'quaver', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'first' })
      .setExpirationTime(expires)
      .sign(key)
  const bearer = async (text: string, user = ''): Promise<AuthStep> =>
    await authd.begin('OAUTHBEARER', `n,${user === '' ? '' : `a=${user}`},\x01auth=Bearer ${text}\x01\x01`)
  const refused = async (step: AuthStep): Promise<void> => {
    assert.ok(step.kind === 'challenge', JSON.stringify(step))
    assert.equal(step.data, '{"status":"invalid_token"}')
    assert.deepEqual(await step.respond('\x01'), wrong)
  }

  before(async () => {
    authority = new Authority()
    server = createServer(authority.issue('issuer', 'IP:127.0.0.1'), (request, response) => {
      const document = documents[request.url ?? '']
      response.statusCode = document === undefined ? 404 : 200
      response.end(JSON.stringify(document ?? {}))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}/realm`
    keyPair = await generateKeyPair('ES256', { extractable: true })
    documents = {
      '/realm/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/keys` },
      '/realm/keys': { keys: [{ ...(await exportJWK(keyPair.privateKey)), kid: 'first' }] },
    }
    mkdirSync(authd.home.issuers)
    writeFileSync(join(authd.home.control, 'oauthissuers'), `${issuer} quaver email\n`)
    writeFileSync(join(authd.home.path, 'ca.pem'), authority.caPem)
    const args = [...programArguments('issuers'), '--home', authd.home.path]
    issuers = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], SSL_CERT_FILE: join(authd.home.path, 'ca.pem') },
    })
    issuers.stderr?.on('data', (text: Buffer) => (issuersLog += text.toString('latin1')))
    while (!existsSync(join(authd.home.issuers, 'keys.json')) && issuers.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 20))
    await authd.start()
  })
  after(async () => {
    if (issuers?.exitCode === null) {
      issuers.kill('SIGTERM')
      await once(issuers, 'exit')
    }
    server.close()
    authority.remove()
    await authd.stop()
  })

  it('public keys are fetched, and nothing private is kept of them', () => {
    assert.match(issuersLog, /keys of https:\/\/127\.0\.0\.1:\d+\/realm: 1/)
    const text = readFileSync(join(authd.home.issuers, 'keys.json'), 'utf8')
    assert.match(text, /"kid":"first"/)
    assert.doesNotMatch(text, /"d":/)
  })

  it('are offered last', () => {
    assert.deepEqual(authd.client.mechanisms(), ['PLAIN', 'LOGIN', 'OAUTHBEARER', 'XOAUTH2'])
  })

  it('a good token is its holder’s, and nobody else’s', async () => {
    const good = await token({ email: 'Anna@Example.test', email_verified: true })
    const step = await bearer(good)
    assert.equal(step.kind === 'accepted' ? step.account : JSON.stringify(step), anna)
    assert.equal((await bearer(good, anna)).kind, 'accepted')
    assert.equal((await authd.begin('XOAUTH2', `user=${anna}\x01auth=Bearer ${good}\x01\x01`)).kind, 'accepted')
    await refused(await bearer(good, 'ben@example.test'))
    await authd.logged('failed-login 192.0.2.1 submission OAUTHBEARER ben@example.test: on behalf of another account\n')
  })

  it('a token of another audience, issuer or key, unsigned, or without an address is refused', async () => {
    const other = await generateKeyPair('ES256')
    const good = await token({ email: anna })
    const [head, body] = good.split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    for (const bad of [
      await token({ email: anna, aud: 'other' }),
      await token({ email: anna, iss: 'https://elsewhere.test' }),
      await token({ email: anna }, '5m', other.privateKey),
      await token({}),
      await token({ email: anna, email_verified: false }),
      await token({ email: 'root' }),
      `${none}.${body}.`,
      `${head}.${body}.AAAA`,
      'nonsense',
    ])
      await refused(await bearer(bad))
    assert.doesNotMatch(authd.log, /eyJ/)
    await authd.ask({ op: 'forgive', who: '192.0.2.1' })
  })

  it('an expired token is refused, but is nobody’s guess', async () => {
    const stale = await token({ email: anna }, '-5m')
    for (let n = 0; n < locksFrom.peer + 1; n++) await refused(await bearer(stale))
    assert.equal((await bearer(await token({ email: anna }))).kind, 'accepted')
  })

  it('a disabled account is refused', async () => {
    await setDisabled(authd.home, 'off@example.test', true)
    await refused(await bearer(await token({ email: 'off@example.test' })))
  })
})
