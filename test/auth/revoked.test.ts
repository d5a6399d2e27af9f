/** What let somebody in is taken away: a session that it opened ends, and nobody else's. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { demoAddress, demoPassword, everyService, Instance } from '#test/kit/instance.ts'
import { MailClient, popLogin, smtpLogin } from '#test/kit/mail-client.ts'

const eve = 'eve@quaver.test'
const eves = "eve's first password"

describe('a session whose password is taken away', { concurrency: false }, () => {
  let quaver: Instance
  const open: MailClient[] = []
  before(async () => {
    quaver = await Instance.start({ services: everyService })
    await admin(`${eves}\n`, 'account', 'add', eve, '--password-stdin')
  })
  after(async () => {
    for (const client of open) client.end()
    await quaver.end()
  })

  const admin = async (input: string, ...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await quaver.quaverWith(input, ...args)
    assert.equal(code, 0, stderr)
  }
  const pop = async (name: string, password: string): Promise<MailClient> => {
    const client = new MailClient({ port: quaver.portOf('pop3s') })
    open.push(client)
    assert.match(await popLogin(client, name, password), /^\+OK/)
    return client
  }
  const submission = async (name: string, password: string): Promise<MailClient> => {
    const client = new MailClient({ port: quaver.portOf('submissions') })
    open.push(client)
    assert.match(await smtpLogin(client, name, password), /^235 /)
    return client
  }

  for (const [what, input, args, next] of [
    ['is replaced', 'another password\n', ['password', eve, '--password-stdin'], 'another password'],
    ['is of an account that is disabled', '', ['disable', eve], undefined],
    ['is of an account that is removed', '', ['remove', eve, '--yes'], undefined],
  ] as const) {
    it(`ends when it ${what}; others go on`, async () => {
      const password = what === 'is replaced' ? eves : 'another password'
      const [reading, sending] = [await pop(eve, password), await submission(eve, password)]
      const [other, another] = [await pop(demoAddress, demoPassword), await submission(demoAddress, demoPassword)]
      await admin(input, 'account', ...args)
      assert.match(await sending.untilClosed(), /^421 4\.3\.2 shutting down/)
      assert.match(await reading.untilClosed(), /^(?:-ERR .*\r\n)?$/)
      assert.match(await other.say('NOOP'), /^\+OK/)
      assert.match(await another.say('NOOP'), /^250 /)
      for (const client of [other, another, ...(next === undefined ? [] : [await pop(eve, next)])]) {
        client.send('QUIT\r\n')
        await client.untilClosed()
      }
      if (args[0] === 'disable') await admin('', 'account', 'enable', eve)
    })
  }

  it('the log says why', async () => {
    await quaver.logged(/authd: sessions of eve@quaver\.test end: a password of it was taken away/)
  })
})
