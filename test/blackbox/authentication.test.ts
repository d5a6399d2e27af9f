/** Mail of strangers, judged by the zone that their names have: what is signed passes, what is forged is kept apart, and nobody
 *  but us says so. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Signer, signerOf } from '#test/kit/dkim-message.ts'
import { DnsServer } from '#test/kit/dns-server.ts'
import { demoAddress, demoPassword, everyService, Instance, until } from '#test/kit/instance.ts'
import { MailClient } from '#test/kit/mail-client.ts'
import { deliver, SmtpClient } from '#test/kit/smtp-client.ts'

const python = '/usr/bin/python3'

describe('mail of strangers', { concurrency: false }, () => {
  let quaver: Instance
  let dns: DnsServer
  let bank: Signer
  let evil: Signer
  before(async () => {
    dns = await DnsServer.listen()
    bank = await signerOf('bank.test', 'rsa')
    evil = await signerOf('evil.test')
    dns.set('_dmarc.bank.test', 'TXT v=DMARC1; p=reject').set(bank.name, `TXT ${bank.record}`)
    dns.set(evil.name, `TXT ${evil.record}`).set('evil.test', 'TXT v=spf1 ip4:127.0.0.1 -all')
    dns.set('bank.test', 'TXT v=spf1 -all')
    quaver = await Instance.start({
      services: everyService,
      files: {
        'control/dnsservers': `${dns.server}\n`,
        // Loopback is a stranger.
        'control/relayclients': '192.0.2.1\n',
        'control/authservids': 'old.quaver.test\n',
      },
    })
  })
  after(async () => {
    await quaver.end()
    dns.close()
  })

  const letter = (subject: string): string => `From: Teller <t@bank.test>\r\nSubject: ${subject}\r\n\r\nhello\r\n`
  const wire = (text: string): string => text.replaceAll(/\r?\n/g, '\r\n')

  async function send(content: string, from = 'x@evil.test'): Promise<void> {
    await deliver(quaver.smtpPort, { from, to: [demoAddress], content: wire(content) })
  }

  const inbox = async (subject: string): Promise<string> =>
    (await quaver.message((text) => text.includes(`Subject: ${subject}\n`), subject)).toString('latin1')

  const junk = (): string => join(quaver.maildir, '.Junk')

  async function inJunk(subject: string): Promise<string> {
    return await until(`${subject} in .Junk`, 20_000, async () => {
      for (const name of await readdir(join(junk(), 'new'))) {
        const text = await readFile(join(junk(), 'new', name), 'latin1')
        if (text.includes(`Subject: ${subject}\n`)) return text
      }
      return undefined
    })
  }

  /** The first field, which must be ours, and the only one. */
  function results(text: string): string {
    const fields = [...text.matchAll(/^Authentication-Results:(?:.*\n)(?:[ \t].*\n)*/gim)].map(([field]) => field)
    const ours = fields.filter((field) => /quaver\.test/i.test(field))
    assert.equal(ours.length, 1, text)
    assert.ok(text.indexOf(ours[0] ?? '') < text.indexOf('Received: from'))
    return (ours[0] ?? '').replaceAll(/\n[ \t]/g, ' ')
  }

  it('38: passes where its author signed it, and says so on top, once', async () => {
    await send(bank.sign(letter('signed')))
    assert.match(
      results(await inbox('signed')),
      /^Authentication-Results: quaver\.test; spf=pass smtp\.mailfrom=x@evil\.test; dkim=pass header\.d=bank\.test header\.s=s1 header\.b=\S{8,10}; dmarc=pass \(p=reject dis=none\) header\.from=bank\.test policy\.dmarc=reject\n$/,
    )
    await quaver.logged(/auth: spf=pass dkim=pass\(bank\.test\/s1\) dmarc=pass policy=reject from=bank\.test [0-9.]+ms/)
  })

  it('passes where it is larger than a frame', async () => {
    await send(bank.sign(`${letter('large')}${'a line that is one of very many\r\n'.repeat(5000)}`))
    assert.match(results(await inbox('large')), /dkim=pass .*dmarc=pass /)
  })

  it('30: that is forged is in the inbox where there is no other place', async () => {
    await send(evil.sign(letter('forged, no folder')))
    assert.match(results(await inbox('forged, no folder')), /dmarc=fail \(p=reject dis=quarantine\)/)
  })

  it('30: that is forged is kept apart where there is a folder, small or large', async () => {
    for (const part of ['cur', 'new', 'tmp']) await mkdir(join(junk(), part), { recursive: true })
    await send(evil.sign(letter('forged')))
    assert.match(
      results(await inJunk('forged')),
      /dkim=pass header\.d=evil\.test .*dmarc=fail \(p=reject dis=quarantine\)/,
    )
    await send(evil.sign(`${letter('forged and large')}${'a line that is one of very many\r\n'.repeat(5000)}`))
    await inJunk('forged and large')
    // Not the author’s: those of others are in the inbox.
    await send(bank.sign(letter('still signed')))
    await inbox('still signed')
  })

  it('30: that is forged stays apart behind an alias', async () => {
    await writeFile(join(quaver.home, 'alias/.qmail-team'), `&${demoAddress}\n`)
    await deliver(quaver.smtpPort, { from: 'x@evil.test', to: ['team@localhost'], content: letter('to an alias') })
    await inJunk('to an alias')
  })

  it('36, 37: has none of our results but ours, and what was signed with it still passes', async () => {
    const forged =
      'AUTHENTICATION-RESULTS: (x) "QUAVER.test" 1;\n dkim=pass\nAuthentication-Results: old.quaver.test; dmarc=pass\n'
    const kept = 'Authentication-Results: other.test; dkim=pass\n'
    await send(forged + kept + bank.sign(letter('with results')))
    const text = await inbox('with results')
    assert.match(results(text), /dkim=pass .*dmarc=pass /)
    assert.ok(text.includes(kept))
    await quaver.logged(/auth: 2 Authentication-Results in our name taken out/)
  })

  it('39: cannot write results by its names, which others read as we do', async (test) => {
    const client = await SmtpClient.connect(quaver.smtpPort)
    await client.expect(220)
    await client.command('EHLO a;dmarc=pass("x', 250)
    await client.command('MAIL FROM:<"a;dkim=pass (\\""@evil.test>', 250)
    await client.command(`RCPT TO:<${demoAddress}>`, 250)
    await client.command('DATA', 354)
    await client.raw(`${wire(bank.sign(letter('with odd names')))}.\r\n`)
    await client.expect(250)
    client.destroy()
    const field = results(await inbox('with odd names'))
    assert.match(field, /spf=pass smtp\.mailfrom="/)
    if (!hasAuthres()) return test.skip('no python3-authres')
    const script =
      'import sys,authres\nfor r in authres.AuthenticationResultsHeader.parse(sys.stdin.read().strip()).results: print(r.method, r.result)'
    const read = execFileSync(python, ['-c', script], { input: field, encoding: 'utf8' })
    assert.equal(read, 'spf pass\ndkim pass\ndmarc pass\n')
  })

  it('40: of our own has no results that somebody wrote into it', async () => {
    const forged = 'Authentication-Results: quaver.test; dmarc=pass\n'
    const sent = await quaver.quaverWith(`${forged}From: ${demoAddress}\nSubject: by hand\n\nx\n`, 'send', demoAddress)
    assert.equal(sent.code, 0, sent.stderr)
    assert.ok(!(await inbox('by hand')).includes('Authentication-Results'))
    const client = new MailClient({ port: quaver.portOf('submissions') })
    await client.until(/^220 .*\r\n/)
    await client.say('EHLO client.test', /^250 .*\r\n/m)
    await client.say(`AUTH PLAIN ${Buffer.from(`\0${demoAddress}\0${demoPassword}`).toString('base64')}`)
    for (const line of [`MAIL FROM:<${demoAddress}>`, `RCPT TO:<${demoAddress}>`, 'DATA']) await client.say(line)
    assert.match(await client.say(`${wire(forged)}From: ${demoAddress}\r\nSubject: submitted\r\n\r\nx\r\n.`), /^250 /)
    client.end()
    assert.ok(!(await inbox('submitted')).includes('Authentication-Results'))
  })

  it('is judged by the command line as by the server, with every step', async () => {
    const file = join(quaver.home, 'saved.eml')
    await writeFile(file, wire(evil.sign(letter('saved'))))
    const forged = await quaver.quaver('dmarc', 'explain', file, '--ip', '127.0.0.1', '--from', 'x@evil.test')
    assert.equal(forged.code, 1, forged.stderr)
    for (const line of [
      /^spf +pass for evil\.test$/m,
      /^dkim +the signature of evil\.test \(selector s1\): pass$/m,
      /^dmarc +_dmarc\.bank\.test says v=DMARC1; p=reject$/m,
      /^dmarc +dkim passes for evil\.test, which is not of the organization bank\.test$/m,
      /^here: kept apart/m,
    ])
      assert.match(forged.stdout, line)
    // As it was delivered: with what was put on top.
    await writeFile(file, await inbox('signed'))
    const good = await quaver.quaver('dmarc', 'explain', file, '--json')
    const { dmarc, author } = JSON.parse(good.stdout) as { dmarc: string; author: string }
    assert.deepEqual([good.code, dmarc, author], [0, 'pass', 'bank.test'])
    const absent = await quaver.quaver('dmarc', 'explain', `${file}.none`)
    assert.deepEqual([absent.code, absent.stderr.includes('no such file')], [2, true])
  })

  it('is explained to the end of its content, and nothing of that is in the log', async () => {
    const file = join(quaver.home, 'explained.eml')
    await writeFile(file, evil.sign(letter('explained').replace('bank.test', 'explained.bank.test')))
    const asked = ['--ip', '127.0.0.1', '--from', 'x@evil.test', '--to', demoAddress, '--message', file]
    const explained = await quaver.quaver('smtp', 'explain', ...asked)
    assert.match(explained.stdout, /dmarc +for names below it, bank\.test wants reject/)
    assert.match(explained.stdout, /dmarc +would be kept apart: control\/dmarcaction asks for no more/)
    assert.match(explained.stdout, /would put on top: Authentication-Results, Received/)
    assert.ok(!(await quaver.log()).includes('explained.bank.test'))
  })

  it('27: is refused where it has two authors', async () => {
    await assert.rejects(send(`From: x@evil.test\r\n${bank.sign(letter('two'))}`), /554/)
  })

  it('is taken while nobody can be asked', async () => {
    dns.setFate('_dmarc.bank.test', 'SERVFAIL')
    const policy = join(quaver.home, 'run/policy.sock')
    await rename(policy, `${policy}.away`)
    await quaver.kill('policy')
    await send(evil.sign(letter('nobody knows')))
    assert.match(results(await inbox('nobody knows')), /^Authentication-Results: quaver\.test; dkim=temperror /)
    await rename(`${policy}.away`, policy)
  })

  it('30: is refused where that is wanted', async () => {
    dns.set('_dmarc.bank.test', 'TXT v=DMARC1; p=reject')
    await writeFile(join(quaver.home, 'control/dmarcaction'), 'reject\n')
    await quaver.restart()
    await assert.rejects(send(evil.sign(letter('refused'))), /550 .*DMARC policy of bank\.test/)
    await rm(join(quaver.home, 'control/dmarcaction'))
  })
})

function hasAuthres(): boolean {
  if (!existsSync(python)) return false
  try {
    execFileSync(python, ['-c', 'import authres'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
