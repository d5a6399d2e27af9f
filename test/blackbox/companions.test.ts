/** Programs that grew up beside qmail, as Debian packages them, unchanged: in `.qmail` files, and in front of the queue. Some have
 *  qmail's home compiled in: this one is bound there, in a mount namespace of its own. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { netstring } from '../../src/protocols/netstring/package-reader.ts'
import { type CommandResult, demoAddress, Instance, launcher, run, until } from '../kit/instance.ts'
import { without, withoutRoot } from '../kit/tool.ts'

const compiledIn = '/var/lib/qmail'
const waitMillisecondsMax = 20_000
const starter = join(tmpdir(), `quaver-companions-${process.pid}.sh`)

function withoutNamespace(): string | false {
  const missing = withoutRoot() || without('unshare')
  if (missing !== false) return missing
  if (!existsSync(compiledIn)) return `there is no ${compiledIn}`
  return spawnSync('unshare', ['-m', 'mount', '--bind', '/', compiledIn]).status === 0
    ? false
    : 'needs a mount namespace'
}

/** Both set PATH and HOME themselves. */
const filters = (home: string): Readonly<Record<string, string>> => ({
  mailfilter: `SENDMAIL="${home}/bin/sendmail -oi"
if (/^X-Case: drop-kept/)
  to "${home}/alias/drop"
if (/^X-Case: drop-no/)
{
  echo "not wanted"
  EXITCODE=77
  exit
}
to "! ${demoAddress}"
`,
  procmailrc: `SENDMAIL=${home}/bin/sendmail
DEFAULT=${home}/alias/proc
:0
* ^X-Case: proc-forward
! ${demoAddress}
:0
* ^X-Case: proc-no
{
  EXITCODE=100
  :0
  /dev/null
}
`,
})

describe('companions of qmail', { concurrency: false, skip: withoutNamespace() }, () => {
  let quaver: Instance
  before(async () => {
    quaver = await Instance.start({
      launcher: starter,
      files: {
        'control/locals': 'box.test\n',
        'alias/.forward': `${demoAddress}\n`,
        'alias/.qmail-dot': '|dot-forward .forward\n./dot\n',
        'alias/.qmail-nodot': '|dot-forward .none\n./nodot\n',
        'alias/.qmail-fast-default': '|fastforward -d aliases.cdb\n',
        'alias/.qmail-owner': './owner\n',
        'alias/aliases': `staff@box.test: ${demoAddress};\nprogram@box.test: |cat >>ran;\n`,
        'alias/.qmail-drop': '|preline maildrop "$HOME/mailfilter"\n',
        'alias/.qmail-proc': '|preline procmail -m ./procmailrc\n',
      },
      async prepare(home) {
        const script = `mount --bind '${home}' ${compiledIn} && exec '${launcher}' "$@"`
        // It ends with `start`.
        await writeFile(
          starter,
          `#!/bin/sh\nexec unshare -m -- sh -c "${script.replaceAll('"', '\\"').replace('$@', '\\$@')}" sh "$@"\n`,
          { mode: 0o755 },
        )
        for (const [name, text] of Object.entries(filters(home))) await writeFile(join(home, 'alias', name), text)
      },
    })
  })
  after(async () => {
    await quaver.end()
    await rm(starter, { force: true })
  })

  const mail = (to: string, name: string): Promise<CommandResult> =>
    run(
      join(quaver.home, 'bin/sendmail'),
      ['-f', demoAddress, `${to}@box.test`],
      `Subject: ${name}\nX-Case: ${name}\n\nbody\n`,
    )
  const arrives = (name: string): Promise<string> =>
    quaver
      .message((content) => content.includes(`\nX-Case: ${name}\n`), name)
      .then((content) => content.toString('latin1'))
  const inAlias = (file: string, name: string): Promise<string> =>
    until(`${name} in ${file}`, waitMillisecondsMax, async () => {
      const text = await readFile(join(quaver.home, 'alias', file), 'latin1').catch(() => '')
      return text.includes(`X-Case: ${name}\n`) ? text : undefined
    })

  it('dot-forward', { skip: without('dot-forward') }, async () => {
    await mail('dot', 'dot')
    await arrives('dot')
    await mail('nodot', 'nodot')
    await inAlias('nodot', 'nodot')
    assert.equal(existsSync(join(quaver.home, 'alias/dot')), false)
  })

  it('fastforward', { skip: without('fastforward', 'setforward') }, async () => {
    const alias = join(quaver.home, 'alias')
    const aliases = await readFile(join(alias, 'aliases'), 'latin1')
    const made = spawnSync('setforward', ['aliases.cdb', 'aliases.tmp'], { cwd: alias, input: aliases })
    assert.equal(made.status, 0, String(made.stderr))
    await mail('fast-staff', 'fast')
    assert.match(await arrives('fast'), /^Delivered-To: fast-staff@box\.test$/m)
    await mail('fast-program', 'fast-program')
    await inAlias('ran', 'fast-program')
    await mail('fast-nobody', 'fast-nobody')
    await quaver.logged(/failure: Sorry,_no_mailbox_here_by_that_name\._\(#5\.1\.1\)\//)
  })

  it('maildrop', { skip: without('maildrop') }, async () => {
    await mail('drop', 'drop-kept')
    assert.match(
      await inAlias('drop', 'drop-kept'),
      /^From demo@quaver\.test [^\n]+\n(?:[^\n]+\n)*Delivered-To: drop@box\.test\n/,
    )
    await mail('drop', 'drop-forward')
    await arrives('drop-forward')
    await mail('drop', 'drop-no')
    await quaver.logged(/failure: not_wanted\//)
  })

  it('procmail', { skip: without('procmail') }, async () => {
    await mail('proc', 'proc-kept')
    await inAlias('proc', 'proc-kept')
    await mail('proc', 'proc-forward')
    await arrives('proc-forward')
    await mail('proc', 'proc-no')
    await quaver.logged(/delivery \d+: failure: /)
  })

  describe('mailfront', { skip: without('smtpfront-qmail') }, () => {
    const front = (name: string, input: string, args: readonly string[] = []): string => {
      const env = { ...process.env, QMAILHOME: quaver.home, PROTO: 'TCP', TCPREMOTEIP: '192.0.2.1', RELAYCLIENT: '' }
      const { stdout } = spawnSync(name, args, { env, input: Buffer.from(input, 'latin1') })
      return stdout.toString('latin1')
    }

    it('smtpfront-qmail, qmtpfront-qmail and qmqpfront-qmail hand in', async () => {
      const header = (name: string): string => `X-Case: ${name}`
      const smtp = `HELO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<${demoAddress}>\r\nDATA\r\n${header('smtpfront')}\r\n\r\nx\r\n.\r\nQUIT\r\n`
      assert.match(front('smtpfront-qmail', smtp), /\r\n354 [^]*\r\n250 [^]*\r\n221 /)
      const to = netstring(demoAddress)
      const qmtp = netstring(`\n${header('qmtpfront')}\n\nx\n`) + netstring('a@b.test') + netstring(to)
      assert.match(front('qmtpfront-qmail', qmtp), /^\d+:K/)
      const qmqp = netstring(netstring(`${header('qmqpfront')}\n\nx\n`) + netstring('a@b.test') + to)
      assert.match(front('qmqpfront-qmail', qmqp), /^\d+:K/)
      for (const name of ['smtpfront', 'qmtpfront', 'qmqpfront']) await arrives(name)
    })

    it('pop3front-maildir reads what we deliver', () => {
      const said = front('pop3front-maildir', 'STAT\r\nTOP 1 0\r\nQUIT\r\n', [quaver.maildir])
      assert.match(said, /^\+OK[^\n]*\n\+OK \d+ \d+\r\n\+OK[^\n]*\nReturn-Path: <[^>]*>\r\n/)
    })
  })
})
