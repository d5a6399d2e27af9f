/** The edge through real processes: plug-ins, filters and rules that others wrote, in files as pkgsrc has them. */
import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { demoAddress, Instance } from '../kit/instance.ts'
import { type Reply, SmtpClient } from '../kit/smtp-client.ts'

async function program(home: string, name: string, text: string): Promise<void> {
  const path = join(home, 'plugins', name)
  await mkdir(join(home, 'plugins'), { recursive: true })
  await writeFile(path, text)
  await chmod(path, 0o755)
}

async function ask(client: SmtpClient, line: string): Promise<Reply> {
  await client.raw(`${line}\r\n`)
  return await client.reply()
}

describe('plug-ins by others', () => {
  let instance: Instance
  before(async () => {
    instance = await Instance.start({
      files: {
        'control/smtpplugins':
          '[mail]\nplugins/mail\n[rcpt]\n:case "$SMTPRCPTTO" in slow*) sleep 60;; crash*) kill -9 $$;; esac\nplugins/rcpt\nqmail-rcptcheck\n',
        'control/rcptchecks': 'plugins/check\nqmail-rcptcheck-realrcptto\n',
        'control/localfilters': 'plugins/filter\n',
        'control/fixsmtpio': ':vrfy::2*::252 ask somebody else\n',
      },
    })
    await program(instance.home, 'mail', '#!/bin/sh\necho "HX-Mail-From: $SMTPMAILFROM from $TCPREMOTEIP"\n')
    await program(
      instance.home,
      'rcpt',
      '#!/bin/sh\ncase "$SMTPRCPTTO" in no*) echo "E553 not $SMTPRCPTTO (#5.7.1)";; bye*) echo R421 go away;; alias@*) echo Cdemo@quaver.test;; esac\n',
    )
    await program(instance.home, 'check', '#!/bin/sh\ncase "$RECIPIENT" in bad*) exit 100;; esac\nexit 0\n')
    await program(instance.home, 'filter', '#!/bin/sh\necho "X-Filtered-For: $QMAILRCPTS" | head -1\ncat\n')
  })
  after(() => instance.end())

  it('run unchanged, each at its stage, and what they say is obeyed', async () => {
    const client = await SmtpClient.greeted(instance.smtpPort)
    await client.command(`MAIL FROM:<me@example.org>`, 250)
    assert.deepEqual((await ask(client, 'RCPT TO:<nobody@quaver.test>')).lines, [
      '5.7.1 not nobody@quaver.test (#5.7.1)',
    ])
    assert.deepEqual((await ask(client, 'RCPT TO:<bad@quaver.test>')).code, 553)
    await client.command('RCPT TO:<alias@quaver.test>', 250)
    await client.command('DATA', 354)
    await client.raw('Subject: plugged\r\n\r\nx\r\n.\r\n')
    await client.expect(250)
    const text = (await instance.message((found) => found.includes('Subject: plugged'), 'the message')).toString(
      'latin1',
    )
    assert.match(text, /\nX-Filtered-For: demo@quaver\.test\n/)
    assert.match(text, /\nReceived: from [^]*?\nX-Mail-From: me@example\.org from 127\.0\.0\.1\nSubject: plugged\n/)
    assert.deepEqual((await ask(client, 'VRFY x')).lines, ['ask somebody else'])
    await client.quit()
  })

  it('that crash or close harm their own transaction only', async () => {
    const client = await SmtpClient.greeted(instance.smtpPort)
    await client.command(`MAIL FROM:<me@example.org>`, 250)
    const crashed = await ask(client, 'RCPT TO:<crash@quaver.test>')
    assert.equal(crashed.code, 451)
    assert.match(crashed.lines[0] ?? '', /qmail-spp failure: .*: child crashed \(#4\.3\.0\)$/)
    await client.raw('RCPT TO:<slow@quaver.test>\r\n')
    // Another session is served while this one waits for its plug-in.
    const other = await SmtpClient.greeted(instance.smtpPort)
    await other.command('MAIL FROM:<me@example.org>', 250)
    await other.command(`RCPT TO:<${demoAddress}>`, 250)
    assert.equal((await ask(other, 'RCPT TO:<bye@quaver.test>')).code, 421)
    await assert.rejects(ask(other, 'NOOP'))
  })

  it('are told of by explain, which sends nothing', async () => {
    const deliveredBefore = (await instance.delivered()).size
    const ip = ['--ip', '192.0.2.7', '--from', 'me@example.org']
    const told = await instance.quaver('smtp', 'explain', ...ip, '--to', 'bad@quaver.test', demoAddress, '--json')
    assert.equal(told.code, 0, told.stderr)
    const steps = JSON.parse(told.stdout) as { command: string; reply: string; findings: { check: string }[] }[]
    const replies = new Map(steps.map(({ command, reply }) => [command, reply.slice(0, 3)]))
    assert.equal(replies.get('RCPT TO:<bad@quaver.test>'), '553')
    assert.equal(replies.get(`RCPT TO:<${demoAddress}>`), '250')
    assert.equal(replies.get('DATA'), '354')
    const checks = steps.flatMap(({ findings }) => findings.map(({ check }) => check))
    assert.ok(checks.includes('realrcptto') && checks.includes('rblsmtpd'), checks.join())
    await pause(200)
    assert.equal((await instance.delivered()).size, deliveredBefore)
  })
})

describe('a plug-in that does not end', () => {
  it('holds up no stop: its transaction gets 451, and the session 421', async () => {
    const instance = await Instance.start({
      files: { 'control/smtpplugins': '[mail]\n:case $SMTPMAILFROM in slow*) sleep 600;; esac\n' },
    })
    try {
      const client = await SmtpClient.greeted(instance.smtpPort)
      await client.raw('MAIL FROM:<slow@example.org>\r\n')
      await pause(500)
      const stopped = instance.stop()
      assert.match((await client.reply()).lines.join(), /qmail-spp failure: /)
      assert.equal((await client.reply()).code, 421)
      await stopped
    } finally {
      await instance.end()
    }
  })
})

describe('control/fixsmtpio with an error', () => {
  it('serves nobody, and the log names the line', async () => {
    const instance = await Instance.start({ files: { 'control/fixsmtpio': '# fine\nnot a rule\n' } })
    try {
      const client = await SmtpClient.connect(instance.smtpPort)
      assert.equal((await client.reply()).code, 421)
      await instance.logged(/alert: unable to parse control\/fixsmtpio: line 2: /)
    } finally {
      await instance.end()
    }
  })
})
