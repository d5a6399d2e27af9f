/** The thirteen negative tests of the acceptance list, by number, each against a running system. What they say of POP3 and of
 *  submission is with those services. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { Edge } from '../kit/edge.ts'
import { demoAddress, Instance, root } from '../kit/instance.ts'
import { cpuMilliseconds } from '../kit/processes.ts'
import { SmtpClient } from '../kit/smtp-client.ts'

const relay = ':allow,SPP_SPF_RESULT_PASS="SGL_WHITELISTED=1",SPPCONFFILE="control/greyplugins"'

describe('negative tests', () => {
  let edge: Edge
  before(async () => {
    edge = await Edge.start({
      files: {
        'control/tcprules/smtp': [
          '127.:allow,RELAYCLIENT=""',
          '::1:allow,RELAYCLIENT=""',
          '192.0.2.6:allow,QMAILQUEUE="/usr/pkg/bin/qmail-qfilter-queue",QMAILQUEUEFILTERS="control/absent"',
          '192.0.2.10:allow,SPPCONFFILE="control/badplugins"',
          `192.0.2.5${relay}`,
          ':allow',
          '',
        ].join('\n'),
        'control/greyplugins': '[mail]\nqmail-spp-spf\n[rcpt]\ngreylisting-spp\n',
        'control/badplugins':
          '[rcpt]\n:case $SMTPRCPTTO in crash*) kill -SEGV $$;; loop*) while :; do echo HX-Loop: 1; done;; cr*) printf "E550 one\\r250 two\\r\\n";; esac\n',
      },
    })
  })
  after(() => edge.end())

  it('1. pipelined plaintext after STARTTLS is discarded', async () => {
    const visitor = await edge.greeted('192.0.2.1')
    visitor.bare.say(
      `STARTTLS\r\nMAIL FROM:<evil@b.test>\r\nRCPT TO:<${demoAddress}>\r\nDATA\r\nSubject: injected\r\n\r\n.\r\n`,
    )
    assert.match(await visitor.reply(), /^220 [^\r\n]*$/)
    await visitor.bare.handshake()
    assert.match(await visitor.ask('DATA'), /^503 MAIL first/)
    assert.match(await visitor.ask('NOOP'), /^250 /)
  })

  it('2. end of data: split, CRLF-odd, QUIT behind the dot, a dot behind a bare LF', async () => {
    const content = `Subject: split\r\n\r\nx\r\n.\r\n`
    for (let at = content.length - 6; at < content.length; at++) {
      const visitor = await edge.greeted('192.0.2.1')
      for (const command of ['MAIL FROM:<a@b.test>', `RCPT TO:<${demoAddress}>`, 'DATA']) await visitor.ask(command)
      visitor.bare.say(content.slice(0, at))
      await pause(5)
      visitor.bare.say(`${content.slice(at)}QUIT\r\n`)
      const heard = await visitor.bare.untilClosed(20_000)
      assert.match(heard, /^250 2\.0\.0 ok \d+ qp \d+\r\n221 [^\r\n]*\r\n$/, `split at ${at}`)
    }
    for (const end of ['\n.\r\n', '\n.\n', '\r.\r', '\r\n.\n', '\n.\r', '\r\n.\r', '\0.\r\n']) {
      const visitor = await edge.greeted('192.0.2.1')
      for (const command of ['MAIL FROM:<a@b.test>', `RCPT TO:<${demoAddress}>`, 'DATA']) await visitor.ask(command)
      visitor.bare.say(
        `Subject: smuggled\r\n\r\nx${end}MAIL FROM:<evil@b.test>\r\nRCPT TO:<${demoAddress}>\r\nDATA\r\n`,
      )
      visitor.bare.say('Subject: smuggled\r\n\r\ny\r\n.\r\n')
      assert.match(await visitor.bare.untilClosed(20_000), /^554 [^\r\n]*\r\n$/, JSON.stringify(end))
    }
    await edge.delivered('split')
    for (const text of (await edge.instance.delivered()).values()) assert.ok(!text.includes('smuggled'))
  })

  it('3. a partial command line does not burn CPU', async () => {
    const visitor = await edge.greeted('192.0.2.1')
    visitor.bare.say('MAIL FROM:<a')
    await pause(300)
    const smtpd = await edge.instance.pidOf('smtpd')
    const spentBefore = cpuMilliseconds(smtpd)
    await pause(2000)
    const spent = cpuMilliseconds(smtpd) - spentBefore
    assert.ok(spent < 1000, `${spent} ms of 2000`)
    assert.match(await visitor.ask('@b.test>'), /^250 /)
  })

  it('4. AUTH PLAIN and * get one reply each', async () => {
    const visitor = await edge.greeted('192.0.2.1')
    visitor.bare.say('AUTH PLAIN\r\n*\r\nNOOP\r\n')
    const heard = await visitor.bare.until(/\r\n250 [^\r\n]*\r\n$/, 20_000)
    assert.match(heard, /^502 [^\r\n]*\r\n502 [^\r\n]*\r\n250 [^\r\n]*\r\n$/)
  })

  it('5. two MAILs in one session: the SPF pass of the first does not exempt the second, one Received-SPF', async () => {
    edge.dns.set('good.test', 'TXT v=spf1 ip4:192.0.2.5 -all')
    const visitor = await edge.greeted('192.0.2.5')
    const mails = [
      'MAIL FROM:<a@good.test>',
      `RCPT TO:<${demoAddress}>`,
      'MAIL FROM:<b@none.test>',
      `RCPT TO:<${demoAddress}>`,
    ]
    const replies = await visitor.talk(...mails, 'MAIL FROM:<c@good.test>', `RCPT TO:<${demoAddress}>`, 'DATA')
    assert.deepEqual(
      replies.map((reply) => reply.slice(0, 3)),
      ['250', '250', '250', '451', '250', '250', '354'],
    )
    assert.match(await visitor.ask('Subject: two mails\r\n\r\n.'), /^250 /)
    const fields = (await edge.delivered('two mails')).match(/^Received-SPF: .*$/gm) ?? []
    assert.equal(fields.length, 1)
    assert.match(fields[0] ?? '', /envelope-from=c@good\.test;/)
  })

  it('6. QMAILQUEUEFILTERS naming an absent file: mail is deferred, not let through unfiltered', async () => {
    assert.match(await (await edge.greeted('192.0.2.6')).send('unfiltered'), /^451 .*qq unable to read configuration/)
    assert.match(await (await edge.greeted('192.0.2.1')).send('others go on'), /^250 /)
  })

  it('7. without TLS no password is asked for: 25 neither offers nor takes AUTH', async () => {
    const visitor = edge.from('192.0.2.1')
    await visitor.reply()
    assert.doesNotMatch(await visitor.ask('EHLO me.test'), /AUTH/)
    for (const line of ['AUTH LOGIN', 'AUTH PLAIN AGEAYg==', 'USER a', 'PASS b'])
      assert.match(await visitor.ask(line), /^502 /)
  })

  it('8. ::1 is treated like 127.0.0.1', async () => {
    for (const ip of ['::1', '127.0.0.1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1']) {
      const replies = await (await edge.greeted(ip)).talk('MAIL FROM:<a@b.test>', 'RCPT TO:<x@far.test>')
      assert.deepEqual(replies, ['250 2.1.0 ok', '250 2.1.5 ok'], ip)
    }
  })

  it('10. a plug-in that crashes, loops or prints CR harms its own command only', async () => {
    const visitor = await edge.greeted('192.0.2.10')
    const [, crashed, looped, odd, fine] = await visitor.talk(
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<crash@quaver.test>',
      'RCPT TO:<loop@quaver.test>',
      'RCPT TO:<cr@quaver.test>',
      `RCPT TO:<${demoAddress}>`,
    )
    assert.match(crashed ?? '', /^451 4\.3\.0 qmail-spp failure: .*: child crashed \(#4\.3\.0\)$/)
    assert.match(looped ?? '', /^451 4\.3\.0 qmail-spp failure: .*: too much output \(#4\.3\.0\)$/)
    assert.equal(odd, '550 one?250 two')
    assert.match(fine ?? '', /^250 /)
    assert.equal(visitor.bare.heard, '')
  })

  it('12. the error answers of zen.spamhaus.org (127.255.255.x) are no listing, and the log says so once', async () => {
    for (const n of [252, 254, 255]) {
      edge.dns.set(`${n}.2.0.192.zen.spamhaus.org`, `A 127.255.255.${n}`, 'TXT Error: open resolver')
      assert.match(await (await edge.greeted(`192.0.2.${n}`)).send(`zen ${n}`), /^250 /)
    }
    await edge.logged(/alert: DNS list zen\.spamhaus\.org refuses to answer us/)
    await pause(200)
    assert.equal((await edge.instance.log()).match(/zen\.spamhaus\.org refuses to answer us/g)?.length, 1)
  })

  it('13. private homes (0700): user-ext recipients are found, or refused', async () => {
    const home = join(edge.instance.home, 'mail/quaver.test/demo')
    await writeFile(join(home, '.qmail-private'), './Maildir/\n', { mode: 0o600 })
    await chmod(home, 0o700)
    const visitor = await edge.greeted('192.0.2.1')
    assert.match(await visitor.send('private', 'a@b.test', 'demo-private@quaver.test'), /^250 /)
    await edge.delivered('private')
    assert.match(await visitor.send('absent', 'a@b.test', 'demo-absent@quaver.test'), /^553 5\.1\.1 /)
  })

  // Last: afterwards nobody is served.
  it('11. control/fixsmtpio with an error: the service refuses, and the log names the line', async () => {
    await writeFile(join(edge.instance.home, 'control/fixsmtpio'), '# fine\nnot a rule\n')
    await edge.instance.restart()
    assert.match(await edge.from('127.0.0.1').reply(), /^421 /)
    await edge.logged(/alert: unable to parse control\/fixsmtpio: line 2: /)
  })
})

describe('negative test', () => {
  it('9. a configuration that start made holds no path of the build host', async () => {
    const home = await mkdtemp(join(tmpdir(), 'quaver-'))
    const instance = await Instance.start({ home: join(home, 'made') })
    try {
      const client = await SmtpClient.greeted(instance.smtpPort)
      await client.quit()
      const build = [root, process.execPath, tmpdir()]
      for (const folder of ['control', 'users', 'alias']) {
        for (const name of await readdir(join(instance.home, folder), { recursive: true })) {
          const text = await readFile(join(instance.home, folder, name), 'latin1').catch(() => '')
          const own = text.replaceAll(instance.home, 'HOME')
          for (const path of build) assert.ok(!own.includes(path), `${folder}/${name} holds ${path}`)
        }
      }
    } finally {
      await instance.end()
      await rm(home, { recursive: true, force: true })
    }
  })
})
