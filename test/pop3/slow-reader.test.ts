/** RETR through the relay of the front, to somebody who reads slowly or not at all: memory stays bounded in both
 *  processes, and others are served. */
import assert from 'node:assert/strict'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { demoAddress, demoPassword, Instance } from '#test/kit/instance.ts'
import { MailClient, popLogin, smtpLogin } from '#test/kit/mail-client.ts'
import { residentBytes } from '#test/kit/processes.ts'

const messageBytes = 50 * 1024 * 1024
const growthBytesMax = 64 * 1024 * 1024

describe('a slow reader', { concurrency: false }, () => {
  let instance: Instance
  let client: MailClient

  before(async () => {
    instance = await Instance.start({ services: ['local', 'submission', 'pop3'] })
    const folder = join(instance.maildir, 'new')
    mkdirSync(folder, { recursive: true })
    const line = `${'0123456789abcdef'.repeat(4)}\n`
    const body = Buffer.alloc(messageBytes, line)
    const message = join(folder, '1.M1P1.host')
    writeFileSync(message, Buffer.concat([Buffer.from('Subject: large\n\n'), body]))
    // As in qmail-pop3d, what came in this very second is for the next session.
    utimesSync(message, 1, 1)
    client = new MailClient({ port: instance.portOf('pop3s') })
    assert.match(await popLogin(client, demoAddress, demoPassword), /^\+OK/)
    assert.match(await client.say('STAT'), /^\+OK 1 \d{8}\r\n/)
  })
  after(async () => {
    client.end()
    await instance.end()
  })

  it('costs no memory, and holds up nobody', async (t) => {
    const pids = { login: await instance.pidOf('pop3d'), local: await instance.pidOf('local') }
    const earlier = { login: residentBytes(pids.login), local: residentBytes(pids.local) }
    client.send('RETR 1\r\n')
    client.stopReading()
    let most = { login: 0, local: 0 }
    const look = (): void => {
      most = {
        login: Math.max(most.login, residentBytes(pids.login) - earlier.login),
        local: Math.max(most.local, residentBytes(pids.local) - earlier.local),
      }
    }
    for (let n = 0; n < 10; n++) {
      await pause(100)
      look()
    }
    // Both processes answer others meanwhile: pop3d by a refusal of its local, and submission in the same local.
    const second = new MailClient({ port: instance.portOf('pop3s') })
    assert.match(await popLogin(second, demoAddress, demoPassword), /^-ERR \[IN-USE\]/)
    const other = new MailClient({ port: instance.portOf('submissions') })
    assert.match(await smtpLogin(other, demoAddress, demoPassword), /^235 /)
    assert.match(await other.say('NOOP'), /^250 /)
    second.end()
    other.end()
    look()
    let bytes = 0
    let tail = ''
    client.socket.on('data', (piece: Buffer) => {
      bytes += piece.length
      tail = (tail + piece.toString('latin1', Math.max(0, piece.length - 5))).slice(-5)
    })
    client.socket.resume()
    while (tail !== '\r\n.\r\n' && !client.closed) {
      await pause(20)
      look()
    }
    assert.ok(bytes > messageBytes, `${bytes}`)
    for (const [name, growth] of Object.entries(most)) assert.ok(growth < growthBytesMax, `${name} grew by ${growth}`)
    t.diagnostic(`grew by ${Math.round(most.login / 1e6)} MB (login), ${Math.round(most.local / 1e6)} MB (local)`)
  })

  it('the session is whole after it', async () => {
    client.socket.removeAllListeners('data')
    let said = ''
    client.socket.on('data', (piece: Buffer) => (said += piece.toString('latin1')))
    client.send('NOOP\r\nQUIT\r\n')
    while ((said.match(/\r\n/g) ?? []).length < 2 && !client.closed) await pause(10)
    assert.match(said, /^\+OK \r\n\+OK \r\n$/)
  })

  it('one that leaves in the middle leaves nothing behind', async () => {
    const leaver = new MailClient({ port: instance.portOf('pop3s') })
    assert.match(await popLogin(leaver, demoAddress, demoPassword), /^\+OK/)
    leaver.send('RETR 1\r\n')
    leaver.stopReading()
    await pause(200)
    leaver.end()
    const deadline = performance.now() + 20_000
    for (;;) {
      const next = new MailClient({ port: instance.portOf('pop3s') })
      const answer = await popLogin(next, demoAddress, demoPassword)
      next.end()
      if (answer.startsWith('+OK')) break
      assert.ok(performance.now() < deadline, answer)
      await pause(200)
    }
  })
})
