/** A backup is made while mail flows, and what it restores is what was there: to the byte, with modes and owners, nothing lost
 *  between queue and mailbox, and nothing sent that nobody asked for. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { homeAt } from '../../src/stores/home/layout.ts'
import { writeBackup } from '../../src/stores/backup/archive.ts'
import { StagedHome } from '../../src/stores/backup/staged-home.ts'
import { Instance, launcher, run, until } from '../kit/instance.ts'
import { roles, rolesFile, uidOf, withoutSystemHome } from '../kit/system-instance.ts'

const largeBytes = 300_000

interface Listed {
  readonly id: number
  readonly sender: string
  readonly held: boolean
}

describe('backup and restore', () => {
  const work = mkdtempSync(join(tmpdir(), 'quaver-backup-'))
  const file = join(work, 'all.tar.gz')
  const restored = join(work, 'restored')
  let instance: Instance
  /** Told by a 250 before the backup began. */
  const subjects: string[] = []

  before(async () => {
    instance = await Instance.start({
      relayDomains: ['elsewhere.test'],
      // Nobody listens there: it waits.
      files: { 'control/smtproutes': ':127.0.0.1:1\n', 'control/queuelifetime': '604800\n', 'bin/mine': '#!/bin/sh\n' },
    })
    const account = join(instance.maildir, '..')
    writeFileSync(join(account, '.qmail-list'), '&somebody@elsewhere.test\n', { mode: 0o600 })
    writeFileSync(join(instance.maildir, 'maildirsize'), '9000000S\n500 1\n', { mode: 0o600 })
    symlinkSync('/etc/passwd', join(instance.maildir, 'new/planted'))
    const large = await instance.quaverWith(
      `Subject: large\n\n${'x'.repeat(99)}\n`.repeat(largeBytes / 115),
      'send',
      'a@elsewhere.test',
    )
    assert.equal(large.code, 0, large.stderr)
  })
  after(async () => {
    await instance.end()
    rmSync(work, { recursive: true, force: true })
  })

  const send = async (subject: string): Promise<void> => {
    const { code, stderr } = await instance.quaverWith(`Subject: ${subject}\n\nHello.\n`, 'send', 'demo@quaver.test')
    assert.equal(code, 0, stderr)
  }
  const list = async (home: string): Promise<Listed[]> => {
    const { stdout, stderr } = await run(launcher, ['queue', 'list', '--json', '--home', home])
    assert.equal(stderr, '')
    return JSON.parse(stdout) as Listed[]
  }

  it('is made while mail is delivered and read', async () => {
    for (let count = 0; count < 3; count++) {
      await send(`before ${count}`)
      subjects.push(`before ${count}`)
    }
    let isOver = false
    const flow = (async () => {
      for (let count = 0; !isOver; count++) await send(`meanwhile ${count}`)
    })()
    // Whoever reads his mail gives it other names.
    const reading = (async () => {
      while (!isOver) {
        for (const name of readdirSync(join(instance.maildir, 'new'), { withFileTypes: true }))
          if (name.isFile())
            renameSync(join(instance.maildir, 'new', name.name), join(instance.maildir, 'cur', `${name.name}:2,S`))
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })()
    const { code, stdout, stderr } = await instance.quaver('backup', '--mail', '--json', file)
    isOver = true
    await Promise.all([flow, reading])
    assert.equal(code, 0, stderr)
    const facts = JSON.parse(stdout) as { messages: number; left: string[]; file: string }
    assert.deepEqual([facts.left, facts.file], [[], file])
    assert.ok(facts.messages >= 1)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.ok(!existsSync(join(instance.home, 'queue/snapshot')), 'nothing of the copy stays')
  })

  it('leaves nothing where it is cut off', async () => {
    const child = spawn(launcher, ['backup', '--mail', join(work, 'cut-off.tar.gz'), '--home', instance.home])
    const ended = once(child, 'exit')
    await until('its beginning', 20_000, () =>
      Promise.resolve(readdirSync(work).some((name) => name.startsWith('.cut-off')) ? true : undefined),
    )
    child.kill('SIGTERM')
    // Or it was quicker.
    const [code] = (await ended) as [number]
    assert.deepEqual(
      readdirSync(work).filter((name) => name.includes('cut-off')),
      code === 0 ? ['cut-off.tar.gz'] : [],
    )
    assert.ok(!existsSync(join(instance.home, 'queue/snapshot')))
  })

  it('takes a new name only, and of a directory one that says when', async () => {
    const { code, stderr } = await instance.quaver('backup', file)
    assert.equal(code, 2)
    assert.match(stderr, /is there already/)
    const made = await instance.quaver('backup', work)
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /quaver-quaver\.test-\d{8}T\d{6}Z\.tar\.gz.*without mail/)
  })

  it('is what any tar reads', async () => {
    const { stdout } = await run('tar', ['-tzf', file])
    const names = stdout.split('\n')
    assert.ok(names.includes('control/smtproutes') && names.includes('queue/queue.db') && names.includes('bin/mine'))
    assert.ok(!names.some((name) => name.startsWith('run/') || name.includes('sendmail') || name.endsWith('-wal')))
    const link = (await run('tar', ['-tvzf', file, 'mail/quaver.test/demo/Maildir/new/planted'])).stdout
    assert.ok(link === '' || link.startsWith('l'), 'a link is not followed')
  })

  it('is checked whole before anything is restored', async () => {
    const bytes = gunzipSync(readFileSync(file))
    const at = bytes.indexOf('127.0.0.1:1')
    const changed = join(work, 'changed.tar.gz')
    const cut = join(work, 'cut.tar')
    bytes.write('9', at)
    writeFileSync(changed, gzipSync(bytes))
    writeFileSync(cut, bytes.subarray(0, bytes.length / 2))
    for (const [path, why] of [
      [changed, /has changed since it was made/],
      [cut, /ends before its end/],
      [join(import.meta.dirname, 'backup.test.ts'), /damaged, or no backup/],
      [join(work, 'not-there'), /ENOENT/],
    ] as const) {
      const { code, stderr } = await run(launcher, ['restore', path, '--home', restored])
      assert.equal(code, 1)
      assert.match(stderr, why)
      assert.ok(!existsSync(restored))
    }
  })

  it('shows what it would do, and does nothing', async () => {
    const { code, stdout } = await run(launcher, ['restore', file, '--home', restored, '--dry-run'])
    assert.equal(code, 0)
    assert.match(stdout, /whole/)
    assert.ok(!existsSync(restored))
  })

  it('refuses a home where something is', async () => {
    const { code, stderr } = await run(launcher, ['restore', file, '--home', instance.home])
    assert.equal(code, 1)
    assert.match(stderr, /is not empty: move it away first/)
  })

  it('begins again where one was killed before it was complete', async () => {
    mkdirSync(join(restored, '.restore/home/control'), { recursive: true })
    writeFileSync(join(restored, '.restore/home/control/me'), 'half')
    const { code, stdout, stderr } = await run(launcher, ['restore', file, '--home', restored, '--json'])
    assert.equal(code, 0, stderr)
    const report = JSON.parse(stdout) as { messages: number; held: number; done: boolean }
    assert.ok(report.held >= 1 && report.held === report.messages && report.done)
    assert.deepEqual(
      readdirSync(restored).filter((name) => name.startsWith('.')),
      [],
    )
  })

  it('gives every file back to the byte, with its mode', () => {
    const same = [
      'control/me',
      'control/smtproutes',
      'alias/.qmail-postmaster',
      'auth/passwd',
      'demo-password',
      'bin/mine',
    ]
    for (const name of [...same, 'mail/quaver.test/demo/.qmail-list']) {
      assert.deepEqual(readFileSync(join(restored, name)), readFileSync(join(instance.home, name)), name)
      assert.equal(lstatSync(join(restored, name)).mode, lstatSync(join(instance.home, name)).mode, name)
    }
    for (const name of ['auth', 'alias', 'queue', 'mail/quaver.test/demo/Maildir/new'])
      assert.equal(lstatSync(join(restored, name)).mode, lstatSync(join(instance.home, name)).mode, name)
    assert.equal(readFileSync(join(restored, 'mail/quaver.test/demo/Maildir/maildirsize'), 'latin1'), '9000000S\n')
    assert.ok(readFileSync(join(restored, 'users/assign'), 'latin1').includes(`${restored}/mail/quaver.test/demo:`))
  })

  it('runs, has all that was accepted before, and sends nothing by itself', async () => {
    const second = await Instance.start({ home: restored })
    try {
      const waiting = await list(restored)
      assert.ok(waiting.length >= 1 && waiting.every(({ held }) => held))
      const contents = await Promise.all(
        waiting.map(async ({ id }) => (await second.quaver('queue', 'show', String(id))).stdout),
      )
      const known = [...contents, ...[...(await second.delivered()).values()].map(String)].join('\n')
      for (const subject of subjects) assert.ok(known.includes(`Subject: ${subject}`), `${subject} is there`)
      const large = waiting.find((_, at) => contents[at]?.includes('Subject: large'))
      assert.ok(large !== undefined)
      assert.equal(readdirSync(join(restored, 'queue/content')).length, 1, 'the body of the large one')
      const released = await second.quaver('queue', 'release', '--all')
      assert.match(released.stdout, /released, and tried now/)
      await until('an attempt', 20_000, async () =>
        (await second.quaver('queue', 'why', String(large.id))).stdout.includes('was tried') ? true : undefined,
      )
    } finally {
      await second.end()
    }
  })

  it('is ended by the next run where it was killed among its last moves', async () => {
    const home = homeAt(join(work, 'cut'))
    const staged = new StagedHome(home, join(work, 'etc'))
    await staged.begin()
    for (const name of ['control', 'users', 'tls', 'queue']) mkdirSync(staged.home[name as 'control'])
    writeFileSync(join(staged.home.control, 'me'), 'whole.test\n')
    await staged.complete('{}')
    renameSync(staged.home.control, join(work, 'etc/control'))
    assert.equal(await new StagedHome(home, join(work, 'etc')).finish(), '{}')
    assert.equal(readFileSync(join(home.control, 'me'), 'utf8'), 'whole.test\n')
    assert.ok(existsSync(home.queue) && existsSync(home.tls))
    assert.equal(await new StagedHome(home, join(work, 'etc')).finish(), undefined)
    assert.deepEqual(
      [readdirSync(join(work, 'etc')), readdirSync(home.path)].flat().filter((name) => name.startsWith('.')),
      [],
    )
  })

  it('writes nothing outside the home, whatever an archive says', async () => {
    const facts = { mode: 0o644, owner: 'root', group: '', modifiedSeconds: 0 }
    const head = { format: 1, version: '0', madeMs: 0, home: '/h', mail: false } as const
    for (const [index, path] of ['../out', 'bin/away/out'].entries()) {
      const archive = join(work, `hostile-${index}.tar`)
      await writeBackup(
        archive,
        head,
        (async function* () {
          yield { entry: { ...facts, path: 'bin/away', kind: 'link', target: work } } as const
          yield { entry: { ...facts, path, kind: 'directory' } } as const
        })(),
      )
      const { code, stderr } = await run(launcher, ['restore', archive, '--home', join(work, 'hostile')])
      assert.equal(code, 1)
      assert.match(stderr, /an entry is named|is below a link/)
      assert.ok(!existsSync(join(work, 'out')) && !existsSync(join(work, 'hostile')))
    }
  })
})

describe('a system home', { skip: withoutSystemHome() }, () => {
  const work = mkdtempSync(join(tmpdir(), 'quaver-backup-'))
  const home = join(work, 'home')
  after(() => rmSync(work, { recursive: true, force: true }))

  it('is restored with the owners that its accounts have here, and with what they need', async () => {
    chmodSync(work, 0o755)
    for (const name of ['', 'control', 'users', 'queue', 'queue/content', 'auth', 'mail'])
      mkdirSync(join(home, name), { mode: 0o755 })
    writeFileSync(join(home, 'control/me'), 'mail.example.test\n')
    writeFileSync(join(home, 'control/roles'), rolesFile)
    writeFileSync(join(home, 'auth/passwd'), 'secret\n', { mode: 0o600 })
    // The numbers of another machine.
    writeFileSync(join(home, 'users/assign'), `=x:${roles.alias}:61234:61234:${home}/mail/d/x:::\n.\n`)
    const chown = await run('chown', ['-R', `${roles.authd}:`, join(home, 'auth')])
    const others = await run('chown', ['-R', `${roles.queue}:`, join(home, 'queue')])
    assert.deepEqual([chown.code, others.code], [0, 0])
    const made = await run(launcher, ['backup', join(work, 'b.tar'), '--home', home])
    assert.equal(made.code, 0, made.stderr)
    renameSync(home, join(work, 'lost'))
    const back = await run(launcher, ['restore', join(work, 'b.tar'), '--home', home])
    assert.equal(back.code, 0, back.stderr)
    const facts = statSync(join(home, 'auth/passwd'))
    assert.deepEqual([facts.uid, facts.mode & 0o777], [uidOf(roles.authd), 0o600])
    for (const name of ['queue', 'queue/queue.db', 'queue/content'])
      assert.equal(statSync(join(home, name)).uid, uidOf(roles.queue), name)
    assert.match(
      readFileSync(join(home, 'users/assign'), 'utf8'),
      new RegExp(`^=x:${roles.alias}:${uidOf(roles.alias)}:`),
    )
    assert.ok(existsSync(join(home, 'users/cdb')))
  })

  it('is not restored while an account is missing that nobody may make', async () => {
    writeFileSync(join(home, 'users/assign'), `=x:nobody-has-it:61234:61234:${home}/mail/d/x:::\n.\n`)
    const made = await run(launcher, ['backup', join(work, 'c.tar'), '--home', home])
    assert.equal(made.code, 0, made.stderr)
    const back = await run(launcher, ['restore', join(work, 'c.tar'), '--home', join(work, 'other')])
    assert.equal(back.code, 1)
    assert.match(back.stderr, /no account 'nobody-has-it'/)
    assert.ok(!existsSync(join(work, 'other')))
  })
})
