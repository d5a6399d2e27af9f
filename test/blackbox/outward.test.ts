/** Mail that leaves the host, mail that cannot be delivered, and what the queue says about mail that waits. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { demoAddress, Instance, until } from '#test/kit/instance.ts'
import { Sink } from '#test/kit/sink.ts'
import { deliver, SmtpClient } from '#test/kit/smtp-client.ts'

describe('outward', { concurrency: false }, () => {
  let instance: Instance
  let sink: Sink
  before(async () => {
    sink = await Sink.listen()
    instance = await Instance.start({
      relayDomains: ['elsewhere.test', 'closed.test'],
      // Port 1 of loopback: nobody listens there, so the connection is refused at once.
      files: {
        'control/smtproutes': `elsewhere.test:127.0.0.1:${sink.port}\nclosed.test:127.0.0.1:1\n`,
        // Nobody may relay, so that only control/rcpthosts decides: loopback may where this file is absent.
        'control/relayclients': '192.0.2.1\n',
      },
    })
  })
  after(async () => {
    await instance.end()
    await sink.close()
  })

  it('a message goes where control/smtproutes says, unchanged', async () => {
    const content = 'Subject: relayed\r\n\r\n.dot\r\n\xe4\xff\r\n'
    await deliver(instance.smtpPort, { from: 'a@client.test', to: ['b@elsewhere.test'], content })
    await sink.count(1)
    const [transaction] = sink.transactions
    assert.equal(transaction?.from, 'a@client.test')
    assert.deepEqual(transaction.to, ['b@elsewhere.test'])
    const text = transaction.content.toString('latin1')
    assert.ok(text.startsWith('Received: '), text)
    assert.ok(text.endsWith(`\r\n${content}`), text)
  })

  it('an unknown local user is refused at RCPT, and comes back as a bounce if handed in locally', async () => {
    const client = await SmtpClient.greeted(instance.smtpPort)
    await client.command(`MAIL FROM:<${demoAddress}>`, 250)
    await client.command('RCPT TO:<no-such-user@localhost>', 553)
    await client.quit()
    // The sender's own address is local to the queue, so the bounce ends in the demo's Maildir.
    const sent = await instance.quaverWith(
      'Subject: nobody-home\n\nx\n',
      'send',
      '-f',
      demoAddress,
      'no-such-user@localhost',
    )
    assert.equal(sent.code, 0, sent.stderr)
    const bounce = await instance.message((found) => found.includes('failure notice'), 'the bounce')
    const text = bounce.toString('latin1')
    assert.match(text, /^Return-Path: <>\n/)
    assert.match(text, /Hi\. This is the qmail-send program at quaver\.test\./)
    assert.match(text, /<no-such-user@localhost>:\n/)
    assert.match(text, /\nSubject: nobody-home\n/)
  })

  it('a recipient refused by the next host comes back as a bounce', async () => {
    sink.answer = (verb) => (verb === 'RCPT' ? '550 5.1.1 no such user here' : undefined)
    await deliver(instance.smtpPort, {
      from: demoAddress,
      to: ['gone@elsewhere.test'],
      content: 'Subject: gone\r\n\r\nx\r\n',
    })
    const bounce = await instance.message((found) => found.includes('<gone@elsewhere.test>:'), 'the bounce')
    sink.answer = () => undefined
    assert.match(bounce.toString('latin1'), /550 5\.1\.1 no such user here/)
  })

  it('a refused relay: no open relay', async () => {
    const client = await SmtpClient.greeted(instance.smtpPort)
    await client.command('MAIL FROM:<a@client.test>', 250)
    await client.command('RCPT TO:<b@third.test>', 553)
    await client.quit()
  })

  it('quaver queue says what waits, and why', async () => {
    await deliver(instance.smtpPort, {
      from: 'a@client.test',
      to: ['b@closed.test'],
      content: 'Subject: waits\r\n\r\nx\r\n',
    })
    await until('the deferral in the log', 20_000, async () =>
      (await instance.log()).includes('deferral:') ? true : undefined,
    )
    const list = await instance.quaver('queue', 'list')
    assert.equal(list.code, 0, list.stderr)
    assert.match(list.stdout, /b@closed\.test/)
    const json = await instance.quaver('queue', 'list', '--json')
    const messages = JSON.parse(json.stdout) as { id: number; recipients: { address: string }[] }[]
    const waiting = messages.find(({ recipients }) => recipients.some(({ address }) => address === 'b@closed.test'))
    const id = String(waiting?.id)
    const why = await instance.quaver('queue', 'why', id)
    assert.equal(why.code, 0, why.stderr)
    assert.match(why.stdout, /b@closed\.test/)
    assert.match(why.stdout, /establish an SMTP connection/)
  })
})
