/** A stop, or one front's restart, tells those who are logged in and silent, and so does not wait for them. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { demoAddress, demoPassword, everyService, Instance } from '#test/kit/instance.ts'
import { MailClient, popLogin, smtpLogin } from '#test/kit/mail-client.ts'

describe('logged-in sessions at a stop', { concurrency: false }, () => {
  let quaver: Instance
  const open: MailClient[] = []
  before(async () => {
    quaver = await Instance.start({ services: everyService })
  })
  after(async () => {
    for (const client of open) client.end()
    await quaver.end()
  })

  const connect = (name: 'pop3s' | 'submissions'): MailClient => {
    const client = new MailClient({ port: quaver.portOf(name) })
    // As mail programs do; a client that leaves its half open is waited for, for a few seconds.
    client.socket.on('end', () => client.end())
    open.push(client)
    return client
  }

  it('of a front end those of its service, each with a word; the other service goes on', async () => {
    const [reading, sending] = [connect('pop3s'), connect('submissions')]
    assert.match(await popLogin(reading, demoAddress, demoPassword), /^\+OK/)
    assert.match(await smtpLogin(sending, demoAddress, demoPassword), /^235 /)
    const pid = await quaver.pidOf('ofmipd')
    process.kill(pid, 'SIGTERM')
    assert.match(await sending.untilClosed(), /^421 /)
    assert.match(await reading.say('NOOP'), /^\+OK/)
  })

  it('of everything end at once, also while a login is under way', async () => {
    const [reading, sending, coming] = [connect('pop3s'), connect('submissions'), connect('submissions')]
    assert.match(await smtpLogin(sending, demoAddress, demoPassword), /^235 /)
    const entering = smtpLogin(coming, demoAddress, demoPassword)
    await reading.until(/^\+OK.*\r\n/)
    await reading.say(`USER ${demoAddress}`)
    reading.send(`PASS ${demoPassword}\r\n`)
    await quaver.stop()
    assert.match(await sending.untilClosed(), /^421 /)
    assert.match(`${await entering}${await coming.untilClosed()}`, /421 |454 |^$/)
    assert.doesNotMatch(await quaver.log(), /(?:ofmipd|pop3d): .*stopped|did not stop|is killed/)
  })
})
