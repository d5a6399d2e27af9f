/** From nothing to a mail host and back, on a machine with nothing but the Debian package: install, set up, mail in and out,
 *  restart, doctor, uninstall; and the tree is as it was. Everything happens in one root, in this order. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { deb } from '../../packaging/archives.ts'
import { stage } from '../../packaging/stage.ts'
import { CleanRoot, elsewhereAddress, hostAddress, withoutCleanRoot } from '#test/kit/clean-root.ts'
import { root as repository } from '#test/kit/instance.ts'

const epoch = 1_700_000_000
const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'
const zone = [
  `mail.example.org A ${hostAddress}`,
  'example.org MX 10 mail.example.org',
  '25.114.0.203.in-addr.arpa PTR mail.example.org',
  'gmail.com MX 10 mx.elsewhere.test',
  `mx.elsewhere.test A ${elsewhereAddress}`,
  'elsewhere.test MX 10 mx.elsewhere.test',
  'elsewhere.test TXT v=spf1 mx -all',
]
/** What dpkg, useradd and the loader leave of themselves. */
const notOurs =
  /^(?:[0-9a-f]{64} {2})?\/(?:var\/lib\/dpkg|var\/log|var\/cache|etc\/(?:passwd|group|shadow|gshadow|subuid|subgid)-|etc\/\.pwd\.lock|root\.deb)/
const backup = '/var/cache/quaver.tar.gz'
const setup = ['quaver', 'setup', 'you@example.org', '--yes', '--service', 'sysv']

describe('a clean machine', { concurrency: false, skip: withoutCleanRoot() }, () => {
  const work = mkdtempSync(join(tmpdir(), 'quaver-clean-'))
  let machine: CleanRoot
  let untouched: string[] = []
  let installed: string[] = []
  before(async () => {
    machine = await CleanRoot.make(zone)
    untouched = await tree()
    const staged = join(work, 'staged')
    await mkdir(staged)
    await stage({
      root: repository,
      destination: staged,
      prefix: '/usr',
      architecture,
      epoch,
      onProgress: () => undefined,
    })
    const path = await deb({ staged, version: '0.1.0', architecture, epoch, directory: work, compression: 'none' })
    machine.bring('/root.deb', readFileSync(path))
  })
  after(async () => {
    await machine.end()
    rmSync(work, { recursive: true, force: true })
  })

  const tree = async (): Promise<string[]> => (await machine.tree()).filter((line) => !notOurs.test(line))
  /** Only what differs is worth a look. */
  async function isAs(wanted: readonly string[]): Promise<void> {
    const found = await tree()
    const [there, expected] = [new Set(found), new Set(wanted)]
    const [more, less] = [found.filter((line) => !expected.has(line)), wanted.filter((line) => !there.has(line))]
    assert.deepEqual({ more, less }, { more: [], less: [] })
  }
  async function done(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await machine.run(...args)
    assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }

  it('takes the package, and nothing runs or is set up by that', async () => {
    await done('dpkg', '-i', '/root.deb')
    assert.equal(await done('quaver', 'check'), '')
    const { code, stderr } = await machine.run('quaver', 'status')
    assert.equal(code, 1)
    assert.match(stderr, /there is no home at \/var\/lib\/quaver/)
    installed = await tree()
  })

  it('is left as it is where another mail server holds the port, which is named', async () => {
    const program = `process.title = 'master'; require('node:net').createServer().listen(25)`
    const holding = machine.run('sh', '-c', `timeout 20 /usr/lib/quaver/runtime/node -e "${program}"; true`)
    try {
      const { code, stdout, stderr } = await sayAgain(
        () => machine.run(...setup),
        (answer) => answer.stdout.includes('ports'),
      )
      assert.equal(code, 1, stdout)
      assert.match(stdout, /port 25 is held by Postfix \(process \d+, master\)/)
      assert.match(stdout, /systemctl disable --now postfix/)
      assert.match(stderr, /nothing was written/)
    } finally {
      await done('sh', '-c', 'kill $(cat /proc/[0-9]*/stat | sed -n "s/ (master).*//p")')
      await holding
    }
    await isAs(installed)
  })

  it('shows what it would do, and does nothing, when asked', async () => {
    const shown = await done(...setup, '--dry-run')
    assert.match(shown, /\/etc\/quaver\/control/)
    await isAs(installed)
  })

  it('takes a home elsewhere and accounts of other names, and gives both back', async () => {
    const home = ['--home', '/srv/post/quaver']
    const options = [
      '--yes',
      '--service',
      'none',
      '--no-var-qmail',
      '--mail-user',
      'postbox',
      '--account',
      'smtpd:maild',
      '--acme',
      'https://127.0.0.1:1/directory',
    ]
    const smarthost = ['--smarthost', 'mx.elsewhere.test:25', '--smarthost-user', 'us', '--smarthost-password-stdin']
    const made = await machine.runWith(
      'secret of ours\n',
      ...['quaver', 'setup', 'you@example.org', ...home, ...options, ...smarthost],
    )
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /passed +submission in TLS/)
    assert.ok(!made.stdout.includes('secret of ours'))
    assert.equal(
      await done(
        'sh',
        '-c',
        'cd /srv/post/quaver/control && cat smtproutes smarthostsecrets && stat -c %U:%a smarthostsecrets',
      ),
      ':mx.elsewhere.test:25\nmx.elsewhere.test:25 us secret of ours\nqmailr:600\n',
    )
    assert.equal(await done('quaver', 'check', ...home), '')
    assert.match(made.stdout, /quaver tls renew/)
    // It ran for the test, and found nobody there.
    const { stdout: tls } = await machine.run('quaver', 'tls', 'status', ...home)
    assert.match(tls, / state {4}failing\n {2}failed .*ECONNREFUSED/)
    assert.match(
      await done('sh', '-c', 'getent passwd maild postbox; getent passwd qmaild || echo none'),
      /maild.*postbox.*none/s,
    )
    assert.match(
      await done('quaver', 'setup', 'you@example.org', ...home, '--yes', '--service', 'none', '--no-var-qmail'),
      /^nothing to do/,
    )
    assert.match(await done('quaver', 'uninstall', ...home, '--yes'), /nothing is left/)
    await isAs(installed)
  })

  it('is set up in the end, whenever the set-up was killed before', async () => {
    for (const seconds of ['0.2', '0.3', '0.4', '0.5'])
      await machine.run('sh', '-c', `timeout --foreground -s KILL ${seconds} ${setup.join(' ')}; true`)
    // With the account made, and its password not shown.
    const isThere = 'grep -q example.org-you /etc/quaver/users/assign 2>/dev/null'
    await done('sh', '-c', `${setup.join(' ')} & until ${isThere}; do sleep 0.02; done; kill -9 $!`)
    const made = await done(...setup)
    assert.match(made, /password: \S+ {3}\(shown only now\)/, 'the password is known to somebody')
    for (const selector of ['q1', 'q2'])
      assert.match(made, new RegExp(`^${selector}\\._domainkey\\.example\\.org\\. 3600 IN TXT .*"v=DKIM1;`, 'm'))
    assert.match(made, /passed +submission in TLS/)
    assert.equal(
      await done('sh', '-c', 'ls /var/lib/quaver/mail/example.org/you/Maildir/new'),
      '',
      'no letter of a test stays',
    )
    assert.match(await done('cat', '/var/lib/quaver/made.json'), /"passed": true/)
    assert.equal(await done('readlink', '/usr/sbin/sendmail'), '/usr/lib/quaver/bin/sendmail\n')
    assert.equal(await done('sh', '-c', 'find / -xdev -name ".*.new" -not -path "/proc/*"'), '')
    assert.equal(await done('quaver', 'check'), '')
    assert.equal((await machine.run('quaver', 'status')).code, 1, 'nothing runs that nobody started')
  })

  it('does nothing the next time, and says so in a line', async () => {
    const already = await tree()
    assert.match(await done(...setup), /^nothing to do: [^\n]*\n$/)
    await isAs(already)
  })

  it('takes mail from elsewhere, and sends', async () => {
    await done('/etc/init.d/quaver', 'start')
    const letter = 'From: friend@elsewhere.test\r\nTo: you@example.org\r\nSubject: first\r\n\r\nHello.\r\n'
    assert.equal((await machine.send('friend@elsewhere.test', 'you@example.org', letter)).code, 250)
    const arrived = await sayAgain(
      () => machine.run('sh', '-c', 'cat /var/lib/quaver/mail/example.org/you/Maildir/new/* 2>/dev/null'),
      ({ stdout }) => stdout.includes('Subject: first'),
    )
    assert.match(arrived.stdout, /Received: from [^\n]*elsewhere/)
    const sent = await machine.runWith(
      'Subject: out\n\nHello.\n',
      '/var/qmail/bin/sendmail',
      ...['-f', 'you@example.org', 'friend@elsewhere.test'],
    )
    assert.equal(sent.code, 0, sent.stderr)
    const probed = await done('quaver', 'send', '--probe', '-f', 'you@example.org', 'friend@elsewhere.test')
    assert.match(probed, /mx\.elsewhere\.test \(203\.0\.114\.1:25\)[^]*> RCPT TO:<friend@elsewhere\.test>\n {2}< 250/)
    const [received, ...more] = await machine.received()
    assert.deepEqual(more, [], 'a probe is no message')
    assert.deepEqual([received?.from, received?.to], ['you@example.org', ['friend@elsewhere.test']])
    assert.match(received?.content ?? '', /Subject: out/)
    assert.match(received?.content ?? '', /^DKIM-Signature: [^]*d=example\.org;[^]*s=q1;/m)
  })

  it('is backed up while it runs', async () => {
    await done('quaver', 'backup', '--mail', backup)
    assert.match(await done('quaver', 'restore', backup, '--dry-run', '--home', '/tmp/nowhere'), /whole/)
  })

  it('runs again after a restart, and the doctor finds no error', async () => {
    await done('/etc/init.d/quaver', 'restart')
    const { findings } = JSON.parse(await done('quaver', 'doctor', '--json')) as {
      findings: { level: string; check: string }[]
    }
    assert.deepEqual(
      findings.map(({ level, check }) => `${level} ${check}`),
      ['warning certificate', 'warning dkim', 'note dnssec'],
    )
  })

  it('is mended by the doctor where that is safe', async () => {
    await done('sh', '-c', 'chmod 777 /var/lib/quaver/auth; chown 12 /etc/quaver/control/me; rm /usr/bin/qmail-inject')
    const { code, stdout } = await machine.run('quaver', 'doctor', '--fix', '--offline')
    assert.equal(code, 1)
    assert.match(stdout, /mended.*auth has mode 777/)
    assert.match(stdout, /qmail-inject is not there/)
    await done('ln', '-s', '../lib/quaver/bin/qmail-inject', '/usr/bin/qmail-inject')
    assert.equal(await done('quaver', 'check'), '')
  })

  it('keeps mail, its account and what was edited when it is uninstalled, and says so', async () => {
    await done(
      'sh',
      '-c',
      'echo 100 > /etc/quaver/control/concurrencyincoming; echo "# mine" >> /etc/quaver/control/rcpthosts',
    )
    const said = await done('quaver', 'uninstall', '--yes')
    assert.match(said, /\/var\/lib\/quaver {2}\d+ messages are in it/)
    assert.match(said, /rcpthosts {2}was edited/)
    assert.match(said, /concurrencyincoming {2}was not made by setup/)
    assert.match(said, /account vmail {2}owns/)
    await done('test', '-f', '/etc/quaver/control/domainkeys/example.org/q1')
    assert.match(await done('sh', '-c', 'cat /var/lib/quaver/mail/example.org/you/Maildir/new/*'), /Subject: first/)
    assert.equal((await machine.run('test', '-e', '/etc/init.d/quaver')).code, 1)
    assert.equal((await machine.run('getent', 'passwd', 'qmaild')).code, 2)
  })

  it('has its mail again when it is set up again', async () => {
    const made = await done(...setup)
    assert.match(made, /passed +SMTP/)
    assert.match(await done('quaver', 'account', 'list'), /you@example\.org/)
  })

  it('is as it was when everything is taken away', async () => {
    await done(
      'sh',
      '-c',
      'rm /etc/quaver/control/concurrencyincoming; echo mail.example.org > /etc/quaver/control/rcpthosts; echo example.org >> /etc/quaver/control/rcpthosts',
    )
    assert.match(await done('quaver', 'uninstall', '--delete-mail', '--yes'), /nothing is left/)
    await isAs(installed)
  })

  it("becomes the machine's sendmail where another is, and gives it back", async () => {
    const other = '/usr/sbin/other-mta'
    await done('sh', '-c', `printf '#!/bin/sh\\necho other\\n' >${other}; chmod 755 ${other}`)
    const quick = [...setup, '--no-self-test', '--no-var-qmail', '--json']
    for (const [there, gone] of [
      [`ln -s other-mta /usr/sbin/sendmail`, 'rm /usr/sbin/sendmail'],
      [`update-alternatives --install /usr/sbin/sendmail mta ${other} 30`, 'update-alternatives --remove-all mta'],
      [
        `cp ${other} /usr/sbin/mailwrapper; ln -s mailwrapper /usr/sbin/sendmail; echo "sendmail ${other}" >/etc/mailer.conf`,
        'rm /usr/sbin/mailwrapper /usr/sbin/sendmail /etc/mailer.conf',
      ],
    ] as const) {
      await done('sh', '-c', there)
      const others = await tree()
      const { findings } = JSON.parse(await done(...quick)) as { findings: { check: string; text: string }[] }
      assert.ok(
        findings.some(({ check }) => check === 'sendmail'),
        there,
      )
      assert.equal(await done('sendmail'), 'other\n')
      await done(...quick, '--sendmail')
      assert.match(await done(...setup, '--no-self-test', '--no-var-qmail', '--sendmail'), /^nothing to do/)
      const isWrapped = there.includes('mailwrapper')
      if (isWrapped)
        assert.match(await done('cat', '/etc/mailer.conf'), /^sendmail\t\/usr\/lib\/quaver\/bin\/sendmail$/m)
      else assert.equal(await done('readlink', '-f', '/usr/sbin/sendmail'), '/usr/lib/quaver/bin/quaver\n')
      await done('quaver', 'uninstall', '--delete-mail', '--yes')
      assert.equal(await done('sendmail'), 'other\n')
      await isAs(others)
      await done('sh', '-c', gone)
    }
    await done('rm', other)
    await isAs(installed)
  })

  it('comes back from its backup, with other numbers, and goes again', async () => {
    // Accounts get other numbers than they had.
    await done('useradd', '--system', 'first')
    const { accountsMade } = JSON.parse(await done('quaver', 'restore', backup, '--json')) as { accountsMade: string[] }
    assert.ok(accountsMade.includes('qmailq') && accountsMade.includes('vmail'))
    assert.equal(await done('stat', '-c', '%U', '/etc/quaver/control/domainkeys/example.org/q1'), 'qmailk\n')
    await done(...setup)
    assert.equal(await done('quaver', 'check'), '')
    assert.match(await done('sh', '-c', 'cat /var/lib/quaver/mail/example.org/you/Maildir/new/*'), /Subject: first/)
    assert.match(
      await done('sh', '-c', 'id -u vmail; cat /etc/quaver/users/assign'),
      /^(\d+)\n=example\.org-you:vmail:\1:/,
    )
    assert.match(await done('quaver', 'uninstall', '--delete-mail', '--yes'), /nothing is left/)
    await done('userdel', 'first')
    await isAs(installed)
    await done('dpkg', '--purge', 'quaver')
    await isAs(untouched)
  })
})

async function sayAgain<T>(ask: () => Promise<T>, isEnough: (answer: T) => boolean): Promise<T> {
  for (let left = 100; ; left--) {
    const answer = await ask()
    if (isEnough(answer) || left === 0) return answer
    await sleep(100)
  }
}
