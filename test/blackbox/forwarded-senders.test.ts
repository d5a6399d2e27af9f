/** What is forwarded leaves with a sender of ours (SRS), and the bounces that come to it go home. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Instance } from '#test/kit/instance.ts'
import { Sink } from '#test/kit/sink.ts'
import { deliver, SmtpClient } from '#test/kit/smtp-client.ts'

const wrapped = /^SRS0=[\w+/]{4}=[A-Z2-7]{2}=far\.test=joe@srs\.quaver\.test$/

describe('senders of forwards', { concurrency: false }, () => {
  let quaver: Instance
  let sink: Sink
  before(async () => {
    sink = await Sink.listen()
    quaver = await Instance.start({
      files: {
        'control/smtproutes': `:127.0.0.1:${sink.port}\n`,
        'control/srs_domain': 'srs.quaver.test\n',
        // Loopback is a stranger.
        'control/relayclients': '192.0.2.1\n',
        'alias/.qmail-away': '&friend@elsewhere.test\n',
        'alias/.qmail-program': '|forward friend@elsewhere.test\n',
        // As a site of qmail-srs has it.
        'alias/.qmail-srs-default': '|srsfilter\n',
        'control/virtualdomains': 'quaver.test:quaver.test\nsrs.quaver.test:srs\n',
      },
      prepare: (home) => writeFile(join(home, 'control/srs_secrets'), 'tops3cret\n', { mode: 0o600 }),
    })
  })
  after(async () => {
    await quaver.end()
    await sink.close()
  })

  /** The sender with which mail to that address goes on. */
  async function forwarded(to: string, content: string, from = 'joe@far.test'): Promise<string> {
    const count = sink.transactions.length + 1
    await deliver(quaver.smtpPort, { from, to: [to], content })
    await sink.count(count)
    const transaction = sink.transactions[count - 1]
    assert.deepEqual(transaction?.to, ['friend@elsewhere.test'])
    return transaction.from
  }

  it('are ours, whether .qmail or a program forwards, small or streamed; a sender of ours stays', async () => {
    assert.match(await forwarded('away@localhost', 'Subject: small\r\n\r\nx\r\n'), wrapped)
    assert.match(await forwarded('away@localhost', `Subject: large\r\n\r\n${'x'.repeat(70)}\r\n`.repeat(2000)), wrapped)
    assert.match(await forwarded('program@localhost', 'Subject: program\r\n\r\nx\r\n'), wrapped)
    assert.equal(await forwarded('away@localhost', 'Subject: x\r\n\r\nx\r\n', 'me@quaver.test'), 'me@quaver.test')
  })

  it('a bounce to one goes to whom it stands for; what else comes there is refused at RCPT', async () => {
    const address = await forwarded('away@localhost', 'Subject: x\r\n\r\nx\r\n')
    const client = await SmtpClient.greeted(quaver.smtpPort)
    await client.command('MAIL FROM:<>', 250)
    await client.command(`RCPT TO:<${address.replace('joe', 'jim')}>`, 550)
    await client.command(`RCPT TO:<${address.replace('far.test', 'fat.test')}>`, 550)
    await client.command('RSET', 250)
    await client.command('MAIL FROM:<spam@x.test>', 250)
    await client.command(`RCPT TO:<${address}>`, 550)
    await client.quit()
    const count = sink.transactions.length + 1
    await deliver(quaver.smtpPort, { from: '', to: [address], content: 'Subject: failure notice\r\n\r\nx\r\n' })
    await sink.count(count)
    assert.deepEqual([sink.transactions[count - 1]?.from, sink.transactions[count - 1]?.to], ['', ['joe@far.test']])
  })

  it('srsfilter sends home, without a sender, what was handed in here for one', async () => {
    const address = await forwarded('away@localhost', 'Subject: x\r\n\r\nx\r\n')
    const count = sink.transactions.length + 1
    const sent = await quaver.quaverWith('Subject: x\n\nx\n', 'send', '-f', 'me@quaver.test', address)
    assert.equal(sent.code, 0, sent.stderr)
    await sink.count(count)
    assert.deepEqual([sink.transactions[count - 1]?.from, sink.transactions[count - 1]?.to], ['', ['joe@far.test']])
    const forged = await quaver.quaverWith('Subject: x\n\nx\n', 'send', '-f', '', address.replace('joe', 'jim'))
    assert.notEqual(forged.code, 0)
    assert.match(forged.stderr, /that SRS address is none of mine/)
  })

  it('a forward that the next host refuses bounces to whom the sender stands for', async () => {
    sink.answer = (verb, line) => (verb === 'RCPT' && line.includes('friend') ? '550 5.7.1 no' : undefined)
    const count = sink.transactions.length + 1
    await deliver(quaver.smtpPort, { from: 'joe@far.test', to: ['away@localhost'], content: 'Subject: x\r\n\r\nx\r\n' })
    await sink.count(count)
    sink.answer = () => undefined
    assert.deepEqual([sink.transactions[count - 1]?.from, sink.transactions[count - 1]?.to], ['', ['joe@far.test']])
  })
})
