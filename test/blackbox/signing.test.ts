/** Mail that is ours leaves with our signature, which another verifier finds good; mail of others leaves as it came. */
import assert from 'node:assert/strict'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { keyText } from '../../src/protocols/dkim/key-text.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { readKey, writeKey } from '../../src/stores/signing-keys/signing-keys.ts'
import { realFiles } from '../../src/system/files.ts'
import { kindOf, newPrivateKey, publicBytes } from '../../src/system/signatures.ts'
import { demoAddress, demoPassword, everyService, Instance, run } from '#test/kit/instance.ts'
import { MailClient } from '#test/kit/mail-client.ts'
import { Sink } from '#test/kit/sink.ts'
import { deliver } from '#test/kit/smtp-client.ts'

const name = { domain: 'quaver.test', selector: 'q1' } as const

describe('signed mail', { concurrency: false }, () => {
  let quaver: Instance
  let sink: Sink
  let record = ''
  before(async () => {
    sink = await Sink.listen()
    quaver = await Instance.start({
      services: everyService,
      relayDomains: ['elsewhere.test'],
      files: {
        'control/smtproutes': `elsewhere.test:127.0.0.1:${sink.port}\n`,
        'control/dkimdomains': 'quaver.test:q1\n',
        // Loopback is a stranger.
        'control/relayclients': '192.0.2.1\n',
      },
      prepare: async (home) => {
        await writeKey(realFiles, homeAt(home), name, await newPrivateKey('rsa'), undefined)
        const key = readKey(homeAt(home), name)
        assert.ok(key !== undefined)
        record = keyText(kindOf(key), publicBytes(key))
      },
    })
  })
  after(async () => {
    await quaver.end()
    await sink.close()
  })

  /** The reply to a message that the demo's account submits. */
  async function submit(content: string): Promise<string> {
    const client = new MailClient({ port: quaver.portOf('submissions') })
    await client.until(/^220 .*\r\n/)
    await client.say('EHLO client.test', /^250 .*\r\n/m)
    await client.say(`AUTH PLAIN ${Buffer.from(`\0${demoAddress}\0${demoPassword}`).toString('base64')}`)
    await client.say(`MAIL FROM:<${demoAddress}>`)
    await client.say('RCPT TO:<r@elsewhere.test>')
    await client.say('DATA')
    const reply = await client.say(`${content}\r\n.`)
    client.end()
    return reply
  }

  /** What the n-th message to leave says of its signatures, to a verifier that is not ours. */
  async function verdicts(count: number): Promise<string[]> {
    await sink.count(count)
    const content = sink.transactions[count - 1]?.content ?? Buffer.alloc(0)
    const { results } = await dkimVerify(content, { resolver: () => Promise.resolve([[record]]) })
    return results.map(({ status, signingDomain }) => `${status.result} ${signingDomain ?? ''}`.trim())
  }

  it('is what an account submits, small or streamed', async () => {
    assert.match(await submit(`From: ${demoAddress}\r\nSubject: small\r\n\r\nHello,  \r\n\r\n..dot\r\n\r\n`), /^250 /)
    assert.deepEqual(await verdicts(1), ['pass quaver.test'])
    const lines = 'a line of a message that does not fit into one frame\r\n'.repeat(4000)
    assert.match(await submit(`From: ${demoAddress}\r\nSubject: large\r\n\r\n${lines}`), /^250 /)
    assert.deepEqual(await verdicts(2), ['pass quaver.test'])
  })

  it('is what programs of the machine hand in', async () => {
    const sent = await quaver.quaverWith(
      `From: ${demoAddress}\nSubject: by a program\n\nx\n`,
      ...['send', '--from', demoAddress, 'r@elsewhere.test'],
    )
    assert.equal(sent.code, 0, sent.stderr)
    assert.deepEqual(await verdicts(3), ['pass quaver.test'])
  })

  it('is not what a stranger says in our name, neither delivered nor forwarded', async () => {
    await writeFile(join(quaver.maildir, '../.qmail-on'), '&r@elsewhere.test\n')
    const content = `From: ${demoAddress}\r\nSubject: not ours\r\n\r\nx\r\n`
    const to = [demoAddress, demoAddress.replace('@', '-on@')]
    await deliver(quaver.smtpPort, { from: 'stranger@client.test', to, content })
    assert.deepEqual(await verdicts(4), ['none'])
    const delivered = await quaver.message((text) => text.includes('Subject: not ours'), 'the stranger’s mail')
    assert.ok(!delivered.includes('DKIM-Signature'))
  })

  it('is not what speaks for a domain without a key', async () => {
    const sent = await quaver.quaverWith('From: joe@elsewhere.test\n\nx\n', 'send', 'r@elsewhere.test')
    assert.equal(sent.code, 0, sent.stderr)
    assert.deepEqual(await verdicts(5), ['none'])
  })

  it('is a bounce', async () => {
    const sent = await quaver.quaverWith(
      'From: r@elsewhere.test\nSubject: to nobody\n\nx\n',
      ...['send', '--from', 'r@elsewhere.test', 'nobody-here@quaver.test'],
    )
    assert.equal(sent.code, 0, sent.stderr)
    assert.deepEqual(await verdicts(6), ['pass quaver.test'])
  })

  it('waits with the sender while the key is away, and is never sent without a signature', async () => {
    const path = join(quaver.home, 'control/domainkeys/quaver.test/q1')
    await rename(path, `${path}.away`)
    assert.match(await submit(`From: ${demoAddress}\r\nSubject: later\r\n\r\nx`), /^451 /)
    await quaver.logged(/alert: cannot sign: no key q1 of quaver\.test/)
    await rename(`${path}.away`, path)
    assert.match(await submit(`From: ${demoAddress}\r\nSubject: later\r\n\r\nx`), /^250 /)
    assert.deepEqual(await verdicts(7), ['pass quaver.test'])
    await quaver.kill('signer')
    assert.match(await submit(`From: ${demoAddress}\r\nSubject: after a restart\r\n\r\nx`), /^250 /)
    assert.deepEqual(await verdicts(8), ['pass quaver.test'])
  })

  it('is what a mail program hands in by sendmail -bs, whatever that puts on top', async () => {
    const count = sink.transactions.length + 1
    const { code, stdout } = await run(
      join(quaver.home, 'bin/sendmail'),
      ['-bs'],
      `MAIL FROM:<${demoAddress}>\r\nRCPT TO:<r@elsewhere.test>\r\nDATA\r\nFrom: ${demoAddress}\r\n\r\nx\r\n.\r\nQUIT\r\n`,
    )
    assert.equal(code, 0, stdout)
    assert.deepEqual(await verdicts(count), ['pass quaver.test'])
    assert.match(String(sink.transactions[count - 1]?.content), /\r\nReceived: from localhost \(sendmail-bs@127/)
  })

  it('shows no key to the log', async () => {
    const pem = await readFile(join(quaver.home, 'control/domainkeys/quaver.test/q1'), 'utf8')
    const log = await quaver.log()
    for (const line of pem.split('\n').filter((one) => one.length > 40)) assert.ok(!log.includes(line))
  })
})
