/** A control file that is there and cannot be read is not taken for absent: what it forbids would be allowed. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { demoAddress, demoPassword, everyService, Instance } from '#test/kit/instance.ts'
import { MailClient, smtpLogin } from '#test/kit/mail-client.ts'
import { SmtpClient } from '#test/kit/smtp-client.ts'

describe('controls that cannot be read', () => {
  it('smtpd serves nobody, says so, and serves again when they can', async (t) => {
    const files = { 'control/badmailfrom': '@bad.test\0\n' }
    const quaver = await Instance.start({ files })
    t.after(() => quaver.end())
    const refused = await SmtpClient.connect(quaver.smtpPort)
    const { code, lines } = await refused.reply()
    refused.destroy()
    assert.deepEqual([code, lines[0]], [421, 'unable to read controls (#4.3.0)'])
    await quaver.logged(/smtpd: refused 127\.0\.0\.1 controls/)
    await quaver.logged(/control\/badmailfrom: line 1 has a NUL byte; nothing is known of it/)
    writeFileSync(join(quaver.home, 'control/badmailfrom'), '@bad.test\n')
    for (;;) {
      const client = await SmtpClient.connect(quaver.smtpPort)
      const greeting = await client.reply()
      client.destroy()
      if (greeting.code === 220) break
      await pause(200)
    }
  })

  it('nobody sends by submission, and other programs do not start', async (t) => {
    const files = { 'control/senders': 'a:b\0\n', 'control/smarthostsecrets': 'relay.test user\0\n' }
    const quaver = await Instance.start({ files, services: everyService, idle: ['remote'] })
    t.after(() => quaver.end())
    const client = new MailClient({ port: quaver.portOf('submissions') })
    t.after(() => client.end())
    assert.match(await smtpLogin(client, demoAddress, demoPassword), /^451 4\.3\.0 unable to read controls/)
    await quaver.logged(/remote: alert: cannot start: unable to read controls: control\/smarthostsecrets/)
  })

  it('mail comes in while remote cannot start', async (t) => {
    const quaver = await Instance.start({ files: { 'control/dnsservers': 'junk\n' }, idle: ['remote'] })
    t.after(() => quaver.end())
    const client = await SmtpClient.greeted(quaver.smtpPort)
    client.destroy()
    await quaver.logged(/remote: alert: cannot start: control\/dnsservers/)
  })
})
