/** The rows of the acceptance list about checks of incoming mail, by name, each driven through a running system. */
import assert from 'node:assert/strict'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Edge } from '../kit/edge.ts'
import { demoAddress, until } from '../kit/instance.ts'
import { BareClient } from '../kit/smtpd-server.ts'

const pass = 'SPP_SPF_RESULT_PASS="SGL_WHITELISTED=1"'
const greylisted = '451 4.7.1 greylisted, retry later (#4.7.1)'
const noMailbox = '553 5.1.1 sorry, no mailbox here by that name. (#5.1.1)'

describe('incoming mail, checks', () => {
  let edge: Edge
  before(async () => {
    edge = await Edge.start({
      files: {
        'control/tcprules/smtp': [
          '127.:allow,RELAYCLIENT=""',
          '192.0.2.66:allow,SPP_SPF_RESULT_FAIL="E550 spf_smtp_msg"',
          `198.51.100.:allow,GL_MIN_REJECT="1",SPPCONFFILE="control/greyplugins",${pass}`,
          `198.51.101.:allow,GL_MIN_REJECT="600",SPPCONFFILE="control/greyplugins",GL_WRAPPER_TCPREMOTEIP="127.127.127.127"`,
          '203.0.113.1:allow,SPPCONFFILE="control/letters"',
          `:allow,SPP_SPF_DONT_ALLOW_RANDOM_IP_PASS="1",${pass}`,
          '',
        ].join('\n'),
        'control/greyplugins': '[mail]\nqmail-spp-spf\n[rcpt]\nqmail-rcptcheck\n/usr/pkg/bin/greylisting-spp-wrapper\n',
        'control/letters':
          '[connection]\nplugins/connection\n[helo]\nplugins/helo\n[mail]\nplugins/mail\n[rcpt]\nplugins/rcpt\n',
        'control/greylist/exemptrcpts': 'Demo-Exempt@quaver.test\n',
        'control/greylist/exemptrcpthosts': 'LOCALHOST\n',
        'control/rcptchecks': 'plugins/oldstyle\n/usr/pkg/bin/qmail-rcptcheck-realrcptto\n',
        'control/relayclients': '127.0.0.0/8\n',
      },
      relayDomains: ['elsewhere.test'],
    })
    await edge.program(
      'oldstyle',
      '#!/bin/sh\ncase "$RECIPIENT" in refuse@*) exit 100;; doubt@*) exit 111;; broken@*) exit 120;; odd@*) exit 7;; esac\n',
    )
    await edge.program('connection', '#!/bin/sh\necho "SSEEN=connection"\n')
    await edge.program('helo', '#!/bin/sh\ncase $SMTPHELOHOST in rude*) echo "P250 wait"; echo "E550 no";; esac\n')
    await edge.program(
      'mail',
      `#!/usr/bin/perl
$_ = $ENV{SMTPMAILFROM}; $| = 1;
print "HX-Seen: $ENV{SEEN}\\n";
/^a\\@/ && print "A\\n"; /^n\\@/ && print "N\\n"; /^o\\@/ && print "O\\n"; /^d\\@/ && print "D\\n";
/^e\\@/ && print "E550 not you\\n"; /^r\\@/ && print "R421 go away\\n"; /^p\\@/ && print "P250 first line\\n";
/^lm\\@/ && print "LM550 saved for mail\\n"; /^lr\\@/ && print "LR550 saved for rcpt\\n"; /^ld\\@/ && print "LD550 saved for data\\n";
/^u\\@/ && print "USEEN\\n"; /^c\\@/ && print "Cchanged\\@sender.test\\n"; /^h\\@/ && print "HX-Letter: H\\n";
`,
    )
    await edge.program(
      'rcpt',
      '#!/bin/sh\necho "HX-Rcpt: $SMTPMAILFROM $SEEN $SMTPRCPTCOUNT $SMTPRCPTCOUNTALL $SMTPRCPTHOSTSOK"\ncase $SMTPRCPTTO in alias@*) echo Cdemo@quaver.test;; esac\n',
    )
    edge.dns
      .set('good.test', 'TXT v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all')
      .set('soft.test', 'TXT v=spf1 ~all')
      .set('bad.test', 'TXT v=spf1 -all')
      .set('9.2.0.192.zen.spamhaus.org', 'A 127.0.0.4', 'TXT https://list.test/192.0.2.9')
      .setFate('10.2.0.192.zen.spamhaus.org', 'SERVFAIL')
    const home = join(edge.instance.home, 'mail/quaver.test/demo')
    await writeFile(join(home, '.qmail-news'), './Maildir/\n')
    await writeFile(join(home, '.qmail-list-default'), './Maildir/\n')
    await writeFile(join(edge.instance.home, 'alias/.qmail-info'), `&${demoAddress}\n`)
  })
  after(() => edge.end())

  const visit = async (ip: string, sender: string, ...recipients: string[]): Promise<string[]> => {
    const visitor = await edge.greeted(ip)
    const commands = [`MAIL FROM:<${sender}>`, ...recipients.map((recipient) => `RCPT TO:<${recipient}>`)]
    const replies = await visitor.talk(...commands)
    visitor.leave()
    return replies.slice(1)
  }

  it('SPF: pass, softfail and none are recorded, none is refused by default, SPP_SPF_RESULT_FAIL refuses', async () => {
    for (const [domain, result] of [
      ['good.test', 'pass'],
      ['soft.test', 'softfail'],
      ['none.test', 'none'],
      ['bad.test', 'fail'],
    ]) {
      assert.match(await (await edge.greeted('192.0.2.1')).send(`spf ${result}`, `a@${domain}`), /^250 /)
      assert.match(await edge.delivered(`spf ${result}`), new RegExp(`\\nReceived-SPF: ${result} \\(quaver\\.test: `))
    }
    const refused = await (await edge.greeted('192.0.2.66')).ask('MAIL FROM:<a@bad.test>')
    assert.equal(refused, '550 domain of a@bad.test does not designate 192.0.2.66 as permitted sender')
  })

  it('Received-SPF header: directly after our Received', async () => {
    await (await edge.greeted('192.0.2.1')).send('spf place', 'a@good.test')
    assert.match(
      await edge.delivered('spf place'),
      /\nReceived: from unknown \(HELO visitor\.test\) \(192\.0\.2\.1\)\n {2}by \S+ with SMTP; [^\n]+\nReceived-SPF: pass \(quaver\.test: domain of a@good\.test designates 192\.0\.2\.1 as permitted sender\) client-ip=192\.0\.2\.1; envelope-from=a@good\.test; helo=visitor\.test;\nSubject: /,
    )
    await edge.logged(/qmail-spp-spf:192\.0\.2\.1: Received-SPF: pass /)
  })

  it('SMTP recipient checks: user, alias, user-ext with matching .qmail 250; nonexistent 553 5.1.1; remote for a relay client 250', async () => {
    const known = [
      demoAddress,
      'info@localhost',
      'demo-news@quaver.test',
      'demo-list-any@quaver.test',
      'PostMaster@quaver.test',
    ]
    assert.deepEqual(
      await visit('192.0.2.1', 'a@b.test', ...known),
      known.map(() => '250 2.1.5 ok'),
    )
    const unknown = ['no-such-mailbox@quaver.test', 'demo-other@quaver.test', 'no-such-mailbox@localhost']
    assert.deepEqual(
      await visit('192.0.2.1', 'a@b.test', ...unknown),
      unknown.map(() => noMailbox),
    )
    await edge.logged(/rcptcheck: realrcptto \d+ 192\.0\.2\.1 no-such-mailbox@quaver\.test/)
    assert.deepEqual(await visit('127.0.0.1', 'a@b.test', 'x@far.test', 'no-such-mailbox@quaver.test'), [
      '250 2.1.5 ok',
      noMailbox,
    ])
    assert.match(
      (await visit('192.0.2.1', 'a@b.test', 'x@far.test')).join(),
      /^553 5\.7\.1 sorry, that domain isn't in my list/,
    )
  })

  it('recipients by delivery logic: what is accepted is delivered', async () => {
    for (const recipient of [demoAddress, 'demo-news@quaver.test', 'demo-list-any@quaver.test', 'info@localhost']) {
      assert.match(await (await edge.greeted('192.0.2.1')).send(`to ${recipient}`, 'a@b.test', recipient), /^250 /)
      await edge.delivered(`to ${recipient}`)
    }
  })

  it('Removed RCPTCHECK patch: an old-style program (100, 111, 120) works from control/rcptchecks', async () => {
    assert.deepEqual(await visit('192.0.2.1', 'a@b.test', 'refuse@quaver.test', demoAddress), [
      noMailbox,
      '250 2.1.5 ok',
    ])
    assert.deepEqual(await visit('192.0.2.1', 'a@b.test', 'doubt@quaver.test'), [
      '421 4.3.0 unable to verify recipient (#4.3.0)',
    ])
    assert.deepEqual(await visit('192.0.2.1', 'a@b.test', 'broken@quaver.test'), [
      '421 4.3.0 unable to execute recipient check (#4.3.0)',
    ])
    assert.deepEqual(await visit('192.0.2.1', 'a@b.test', 'odd@quaver.test'), [noMailbox])
  })

  it('zen.spamhaus.org: listed 451 with its text at RCPT; unlisted and DNS failure pass', async () => {
    assert.deepEqual(await visit('192.0.2.9', 'a@b.test', demoAddress), ['451 https://list.test/192.0.2.9'])
    assert.deepEqual(await visit('192.0.2.9', 'a@b.test', 'postmaster@quaver.test'), ['250 2.1.5 ok'])
    assert.deepEqual(await visit('192.0.2.1', 'a@b.test', demoAddress), ['250 2.1.5 ok'])
    assert.deepEqual(await visit('192.0.2.10', 'a@b.test', demoAddress), ['250 2.1.5 ok'])
  })

  it('skip greylisting on pass; none is refused first and accepted after the minimum time', async () => {
    assert.deepEqual(await visit('198.51.100.1', 'a@good.test', demoAddress), ['250 2.1.5 ok'])
    assert.deepEqual(await visit('198.51.100.1', 'a@none.test', demoAddress), [greylisted])
    await edge.logged(/Rejecting new triple \(198\.51\.100\.1,a@none\.test,demo@quaver\.test\)/)
    await pause(1100)
    assert.deepEqual(await visit('198.51.100.1', 'a@none.test', demoAddress), ['250 2.1.5 ok'])
  })

  it('greylisting-spp: a bounce is refused at DATA, and explain looks without changing anything', async () => {
    const visitor = await edge.greeted('198.51.100.2')
    assert.deepEqual(await visitor.talk('MAIL FROM:<>', `RCPT TO:<${demoAddress}>`, 'DATA'), [
      '250 2.1.0 ok',
      '250 2.1.5 ok',
      greylisted,
    ])
    const explain = async (): Promise<string> => {
      const request = ['--ip', '198.51.101.3', '--helo', 'x', '--from', 'e@none.test', '--to', demoAddress]
      return (await edge.instance.quaver('smtp', 'explain', ...request)).stdout
    }
    assert.match(await explain(), /GL_MIN_REJECT[^]*is new: refused; tried now, it would be accepted from 20\d\d-/)
    assert.match(await explain(), /is new: refused/)
    assert.match(await explain(), /spp rcpt .*greylisting-spp-wrapper: refuse {2}\(control\/greyplugins\)/)
    await edge.logged(/refused 198\.51\.100\.2 spp greylisting-spp-wrapper: 451 /)
    await visit('198.51.101.3', 'e@none.test', demoAddress)
    assert.match(await explain(), /came before: refused; accepted from 20\d\d-/)
  })

  it('greylisting-spp-wrapper: exempt address, exempt domain in any case, fixed IP', async () => {
    await writeFile(join(edge.instance.home, 'mail/quaver.test/demo/.qmail-exempt'), './Maildir/\n')
    assert.deepEqual(await visit('198.51.101.1', 'x@none.test', 'demo-exempt@QUAVER.test', 'info@localhost'), [
      '250 2.1.5 ok',
      '250 2.1.5 ok',
    ])
    await edge.logged(/greylisting skipped for recipient domain: localhost/)
    assert.deepEqual(await visit('198.51.101.1', 'x@none.test', demoAddress), [greylisted])
    assert.deepEqual(await visit('198.51.101.2', 'x@none.test', demoAddress), [greylisted])
    await edge.logged(/Rejecting young triple \(127\.127\.127\.127,x@none\.test,demo@quaver\.test\)/)
  })

  it('qmail-rcptcheck under qmail-spp: E553 goes on, R421 ends the session', async () => {
    const visitor = await edge.greeted('192.0.2.1')
    const replies = await visitor.talk(
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<refuse@quaver.test>',
      'RCPT TO:<doubt@quaver.test>',
    )
    assert.deepEqual(replies.slice(1), [noMailbox, '421 4.3.0 unable to verify recipient (#4.3.0)'])
    await visitor.bare.untilClosed()
  })

  it('qmail-spp patch: every letter through real programs, in sh and Perl', async () => {
    const ip = '203.0.113.1'
    const mail = async (letter: string): Promise<string> =>
      await (await edge.greeted(ip)).ask(`MAIL FROM:<${letter}@sender.test>`)
    for (const letter of ['a', 'n', 'o', 'h', 'u', 'c', 'lr', 'ld', 'lm'])
      assert.equal(await mail(letter), '250 2.1.0 ok', letter)
    assert.equal(await mail('e'), '550 not you')
    assert.equal(await mail('r'), '421 go away')
    assert.equal(await mail('p'), '250-first line\r\n250 2.1.0 ok')
    const dropped = await edge.greeted(ip)
    dropped.bare.say('MAIL FROM:<d@sender.test>\r\n')
    assert.equal(await dropped.bare.untilClosed(20_000), '')
    const saved = await edge.greeted(ip)
    assert.deepEqual(
      await saved.talk(
        'MAIL FROM:<lr@sender.test>',
        `RCPT TO:<${demoAddress}>`,
        'MAIL FROM:<ld@sender.test>',
        `RCPT TO:<${demoAddress}>`,
        'DATA',
        'MAIL FROM:<lm@sender.test>',
        'MAIL FROM:<x@sender.test>',
      ),
      [
        '250 2.1.0 ok',
        '550 saved for rcpt',
        '250 2.1.0 ok',
        '250 2.1.5 ok',
        '550 saved for data',
        '250 2.1.0 ok',
        '550 saved for mail',
      ],
    )
    assert.match(await (await edge.greeted(ip)).ask('HELO rude'), /^550-wait\r\n550 no$/)
    // O skips rcpthosts only at RCPT; C changes the address that is delivered to.
    assert.match(await (await edge.greeted(ip)).send('letters', 'c@sender.test', 'alias@quaver.test'), /^250 /)
    const text = await edge.delivered('letters')
    assert.match(
      text,
      /\nReceived: [^]*?\nX-Seen: connection\nX-Rcpt: changed@sender\.test connection 0 1 1\nSubject: letters\n/,
    )
    assert.match(await (await edge.greeted(ip)).send('unset', 'u@sender.test'), /^250 /)
    assert.match(await edge.delivered('unset'), /\nX-Rcpt: u@sender\.test {2}0 1 1\n/)
  })

  it('rejectutils: a check that is edited counts without a restart', async () => {
    await mkdir(join(edge.instance.home, 'plugins'), { recursive: true })
    await edge.program('oldstyle', '#!/bin/sh\ncase "$RECIPIENT" in demo@*) exit 100;; esac\n')
    assert.deepEqual(await visit('192.0.2.1', 'a@b.test', demoAddress), [noMailbox])
    await chmod(join(edge.instance.home, 'plugins/oldstyle'), 0o644)
    assert.deepEqual(await visit('192.0.2.1', 'a@b.test', demoAddress), [
      '421 4.3.0 unable to execute recipient check (#4.3.0)',
    ])
    await edge.program('oldstyle', '#!/bin/sh\nexit 0\n')
  })

  it('unauthorised pipelining is refused, and pipelining as it is offered is not', async () => {
    const hasty = edge.from('192.0.2.1')
    await hasty.reply()
    hasty.bare.say('EHLO visitor.test\r\nMAIL FROM:<a@b.test>\r\n')
    assert.match(await hasty.bare.untilClosed(), /^554 .*smtp protocol violation/m)
    const visitor = await edge.greeted('192.0.2.1')
    visitor.bare.say(`MAIL FROM:<a@b.test>\r\nRCPT TO:<${demoAddress}>\r\nDATA\r\n`)
    await visitor.bare.until(/^354 .*\r\n/m)
    visitor.bare.say('Subject: grouped\r\n\r\nhello\r\n.\r\nQUIT\r\n')
    assert.match(await visitor.bare.untilClosed(), /^250 .*\r\n221 /m)
    await edge.delivered('grouped')
    await edge.logged(/refused 192\.0\.2\.1 pipelining:/)
  })

  it('explain tells the filters that the message would pass, and who names them', async () => {
    await writeFile(
      join(edge.instance.home, 'control/smtpfilters'),
      'plugins/one\n/usr/pkg/bin/qmail-qfilter-viruscan\n',
    )
    const request = ['--ip', '192.0.2.1', '--from', 'a@b.test', '--to', demoAddress]
    const told = await until('filters in explain', 10_000, async () => {
      const { stdout } = await edge.instance.quaver('smtp', 'explain', ...request)
      return /^ +filters +would pass .*$/m.exec(stdout)?.[0]
    })
    assert.match(told, /would pass plugins\/one, \/usr\/pkg\/bin\/qmail-qfilter-viruscan {2}\(control\/smtpfilters\)$/)
    await rm(join(edge.instance.home, 'control/smtpfilters'))
  })

  it('control/proxyclients is read again even if nobody gets in as it was', async () => {
    const path = join(edge.instance.home, 'control/proxyclients')
    await writeFile(path, '')
    const greeting = await until('a greeting without a PROXY header', 10_000, async () => {
      const client = BareClient.to(edge.instance.smtpPort)
      client.say('QUIT\r\n')
      return (await client.untilClosed()) === '' ? undefined : true
    })
    assert.equal(greeting, true)
    await writeFile(path, '127.0.0.1\n')
  })
})
