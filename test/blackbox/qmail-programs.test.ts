/** qmail's programs as processes under their own names: from `.qmail` files, from cron, from PHP, with the daemons down. */
import assert from 'node:assert/strict'
import { lstat, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoAddress, Instance, launcher, run, until } from '../kit/instance.ts'

const waitMillisecondsMax = 20_000

describe("qmail's programs", { concurrency: false }, () => {
  let quaver: Instance
  before(async () => {
    quaver = await Instance.start({
      files: {
        'control/locals': 'box.test\n',
        'alias/.qmail-forward': `|forward ${demoAddress}\n`,
        'alias/.qmail-bounce': '|bouncesaying "No luck with $EXT"\n',
        'alias/.qmail-unless': "|bouncesaying 'That was it' grep -q '^X-Bad:'\n./unless\n",
        'alias/.qmail-redirect': `|condredirect ${demoAddress} grep -q '^X-Yes:'\n./redirect\n`,
        'alias/.qmail-except': "|except grep -q '^X-Bad:'\n./except\n",
        'alias/.qmail-preline': '|preline -f cat >>preline\n',
        'bin/except': '#!/bin/sh\necho not ours\n',
      },
      prepare: (home) =>
        writeFile(join(home, 'bin/preline'), `#!/bin/sh\nexec '${launcher}' qmail-queue --home '${home}'\n`),
    })
  })
  after(() => quaver.end())

  const program = (name: string, args: readonly string[], input = '') =>
    run(join(quaver.home, 'bin', name), args, input)
  const arrives = (pattern: RegExp): Promise<string> =>
    quaver
      .message((content) => pattern.test(content.toString('latin1')), String(pattern))
      .then((content) => content.toString('latin1'))
  const inAlias = (name: string, pattern: RegExp): Promise<string> =>
    until(`${name} with ${String(pattern)}`, waitMillisecondsMax, async () => {
      const text = await readFile(join(quaver.home, 'alias', name), 'latin1').catch(() => '')
      return pattern.test(text) ? text : undefined
    })
  const mail = (to: string, header: string) =>
    program('sendmail', ['-f', demoAddress, `${to}@box.test`], `${header}\n\nbody\n`)

  it('are links in HOME/bin, beside what was there', async () => {
    assert.equal(await readlink(join(quaver.home, 'bin/forward')), launcher)
    assert.equal(await readFile(join(quaver.home, 'bin/except'), 'latin1'), '#!/bin/sh\necho not ours\n')
    // What an earlier Quaver wrote there is ours.
    assert.ok((await lstat(join(quaver.home, 'bin/preline'))).isSymbolicLink())
  })

  it('forward sends on, with the line that stops loops', async () => {
    assert.equal((await mail('forward', 'X-Case: forward')).code, 0)
    const content = await arrives(/^X-Case: forward$/m)
    assert.match(content, /^Delivered-To: forward@box\.test$/m)
    await quaver.logged(/success: forward:_qp_\d+\/did_0\+0\+1\//)
  })

  it('bouncesaying bounces with its words, always or where its program says so', async () => {
    await mail('bounce', 'X-Case: bounce')
    assert.match(await arrives(/^No luck with bounce$/m), /^<bounce@box\.test>:$/m)
    await mail('unless', 'X-Case: one\nX-Bad: yes')
    await mail('unless', 'X-Case: two')
    await arrives(/^That was it$/m)
    assert.doesNotMatch(await inAlias('unless', /X-Case: two/), /X-Case: one/)
  })

  it('condredirect sends on what its program wants, and that only', async () => {
    await mail('redirect', 'X-Case: redirected\nX-Yes: 1')
    await mail('redirect', 'X-Case: kept')
    await arrives(/^X-Case: redirected$/m)
    assert.doesNotMatch(await inAlias('redirect', /X-Case: kept/), /X-Case: redirected/)
  })

  it('preline puts the lines of the delivery in front', async () => {
    await mail('preline', 'X-Case: preline')
    const text = await inAlias('preline', /body/)
    assert.match(text, /^Return-Path: <demo@quaver\.test>\nDelivered-To: preline@box\.test\nReceived: /)
  })

  it('sendmail takes what cron and PHP say', async () => {
    const cron = ['-FCronDaemon', '-i', '-B8BITMIME', '-oem', '-odi', demoAddress]
    assert.deepEqual(await program('sendmail', cron, 'From: root (Cron Daemon)\nSubject: cron\n\ndone\n.\nmore\n'), {
      code: 0,
      stdout: '',
      stderr: '',
    })
    assert.match(
      await arrives(/^Subject: cron$/m),
      /^From: root@quaver\.test \(Cron Daemon\)\n[^]*\n\ndone\n\.\nmore\n$/m,
    )
    const php = `To: ${demoAddress}\r\nSubject: php\r\nBcc: ${demoAddress}\r\n\r\nfrom a\r\nscript`
    assert.equal(
      (await program('sendmail', ['-t', '-i', '-N', 'never', '-R', 'hdrs', '-V', 'id', '-rphp@quaver.test'], php)).code,
      0,
    )
    const content = await arrives(/^Subject: php$/m)
    assert.match(content, /^Return-Path: <php@quaver\.test>\n/)
    assert.match(content, /\n\nfrom a\nscript\n$/)
    assert.doesNotMatch(content, /Bcc|\r/)
  })

  it('say what is wrong in qmail’s words and codes', async () => {
    const usage = 'sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]\n'
    const stderr = `sendmail: illegal option -- K\n${usage}`
    assert.deepEqual(await program('sendmail', ['-K']), { code: 100, stdout: '', stderr })
    assert.deepEqual(await program('newaliases', []), {
      code: 100,
      stdout: '',
      stderr: 'sendmail: fatal: please use fastforward/newaliases instead\n',
    })
    assert.deepEqual(await program('forward', [demoAddress]), {
      code: 100,
      stdout: '',
      stderr: 'forward: fatal: NEWSENDER not set\n',
    })
    const long = `${'x'.repeat(1003)}@y`
    assert.deepEqual(await program('qmail-inject', ['-a', long], '\n'), {
      code: 100,
      stdout: '',
      stderr: 'qmail-inject: fatal: envelope address too long for qq (#5.1.3)\n',
    })
  })

  it('end quietly when nobody reads on', async () => {
    const command = `yes 'Subject: x' | head -c 900000 | ${quaver.home}/bin/822header | head -c 10`
    assert.deepEqual(await run('/bin/sh', ['-c', command]), { code: 0, stdout: 'Subject: x', stderr: '' })
  })

  it('keep bytes that are not UTF-8, in arguments and variables', async () => {
    const script = `DTLINE=$(printf 'X: \\351') NEWSENDER=$(printf 'a\\351@b') QMAILQUEUE=${quaver.home}/queue.sh exec ${quaver.home}/bin/forward "$(printf 'c\\351@d')"`
    await writeFile(
      join(quaver.home, 'queue.sh'),
      `#!/bin/sh\ncat >${quaver.home}/message; cat <&1 >${quaver.home}/envelope\n`,
      {
        mode: 0o755,
      },
    )
    const end = await run('/bin/sh', ['-c', script], '\nbody\n')
    assert.match(end.stderr, /^forward: qp \d+\n$/)
    assert.equal(await readFile(join(quaver.home, 'message'), 'latin1'), 'X: \xe9\nbody\n')
    assert.equal(await readFile(join(quaver.home, 'envelope'), 'latin1'), 'Fa\xe9@b\0Tc\xe9@d\0\0')
  })

  it('sendmail -bs speaks SMTP with whoever calls, also about what is larger than a frame', async () => {
    const large = `${'x'.repeat(990)}\r\n`.repeat(200)
    const { code, stdout } = await program(
      'sendmail',
      ['-bs'],
      `EHLO mutt\r\nMAIL FROM:<${demoAddress}>\r\nRCPT TO:<${demoAddress}>\r\nRCPT TO:<a b@[x>\r\nDATA\r\nX-Case: bs\r\n\r\n..dot\r\n.\r\n` +
        `MAIL FROM:<>\r\nRCPT TO:<${demoAddress}>\r\nDATA\r\nX-Case: large\r\n\r\n${large}.\r\nQUIT\r\n`,
    )
    assert.equal(code, 0)
    const codes = stdout.split('\r\n').map((line) => line.slice(0, 4))
    const first = ['220 ', '250-', '250-', '250-', '250-', '250 ', '250 ', '250 ', '553 ', '354 ', '250 ']
    assert.deepEqual(codes, [...first, '250 ', '250 ', '354 ', '250 ', '221 ', ''])
    const content = await arrives(/^X-Case: bs$/m)
    assert.match(content, /^Received: from localhost \(HELO mutt\) \(sendmail-bs@127\.0\.0\.1\)$/m)
    assert.match(content, new RegExp(`invoked by uid ${process.getuid?.()}`))
    assert.match(content, /^\.dot$/m)
    assert.ok((await arrives(/^X-Case: large$/m)).length > 190_000)
    assert.equal((await program('sendmail', ['-bs'], 'NOOP\r\n')).code, 1)
  })

  it('sendmail says yes while the daemons are down, and the mail arrives when they are up', async () => {
    await quaver.stop()
    assert.equal((await program('sendmail', [demoAddress], 'Subject: dropped\n\nx\n')).code, 0)
    await quaver.restart()
    await arrives(/^Subject: dropped$/m)
  })
})
