/** Passwords are never taken in clear: without a certificate the services with a login do not listen, and the others run. */
import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Authority } from '../kit/certificates.ts'
import { Instance, until } from '../kit/instance.ts'
import { pop3Client } from '../kit/login-client.ts'
import { SmtpClient } from '../kit/smtp-client.ts'
import { without } from '../kit/tool.ts'

describe('without a certificate', { skip: without('openssl'), concurrency: false }, () => {
  let quaver: Instance | undefined
  const running = (): Instance => quaver ?? assert.fail('it does not run')
  before(async () => {
    quaver = await Instance.start({
      services: ['smtp', 'local', 'pop3'],
      files: { 'tls/cert.pem': 'not yet\n', 'tls/key.pem': 'not yet\n' },
      idle: ['pop3d'],
    })
  })
  after(() => quaver?.end())

  it('110 and 995 do not listen, the log says why, and 25 runs without STARTTLS', async () => {
    const state = (await running().status()).find(({ program }) => program === 'pop3d')?.state
    assert.equal(state, 'held')
    for (const name of ['pop3', 'pop3s'] as const) {
      const port = running().portOf(name)
      if (port !== 0) await assert.rejects(SmtpClient.connect(port), { code: 'ECONNREFUSED' })
    }
    await running().logged(/start: warning: TLS: .*cert\.pem/)
    const client = await SmtpClient.connect(running().smtpPort)
    await client.expect(220)
    assert.ok(!(await client.command('EHLO client.test', 250)).lines.includes('STARTTLS'))
    await client.quit()
  })

  it('they begin to as soon as there is one', async () => {
    const authority = new Authority()
    const { cert, key } = authority.issue('quaver.test', 'DNS:quaver.test')
    authority.remove()
    const directory = join(running().home, 'tls')
    for (const [name, text] of [
      ['key.pem', key],
      ['cert.pem', cert],
    ] as const) {
      await writeFile(join(directory, `${name}.new`), text, { mode: 0o600 })
      await rename(join(directory, `${name}.new`), join(directory, name))
    }
    await until('pop3d running', 30_000, async () =>
      (await running().status()).find(({ program, state }) => program === 'pop3d' && state === 'running'),
    )
    const { client, ask } = await pop3Client(running().portOf('pop3'))
    assert.match(await ask('QUIT'), /^\+OK /)
    client.destroy()
  })

  it('submission, which was not wanted, is left out', async () => {
    assert.throws(() => running().portOf('submission'), /does not listen/)
    assert.ok(!(await running().status()).some(({ program }) => program === 'ofmipd'))
  })
})
