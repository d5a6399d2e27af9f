/** A system home, started by root: every program as an account of its own. Skipped where that cannot be tried. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { askAdmin, type ProgramStatus } from '#test/kit/instance.ts'
import { rolesFile, roles, uidOf, withoutSystemHome } from '#test/kit/system-instance.ts'

const launcher = join(import.meta.dirname, '../../bin/quaver')
const waitMillisecondsMax = 60_000

describe('system home', { skip: withoutSystemHome('bin', 'sync'), concurrency: false }, () => {
  let home = ''
  let running: ChildProcess | undefined
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'quaver-system-'))
    chmodSync(home, 0o755)
  })
  after(() => {
    running?.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  })

  it('says what is missing: first the name, then the accounts', async () => {
    mkdirSync(join(home, 'control'))
    assert.match((await quaver(['start'])).stderr, /control\/me is missing or empty: write this host's name there/)
    writeFileSync(join(home, 'control/me'), 'mail.quaver.test\n')
    writeFileSync(join(home, 'control/roles'), 'queue:no-such-account\n')
    const { code, stderr } = await quaver(['start'])
    assert.equal(code, 111)
    assert.match(stderr, /no account 'no-such-account' for the role 'queue': useradd/)
  })

  it('shows what is in force, and what a file says instead', async () => {
    const databytes = join(home, 'control/databytes')
    writeFileSync(databytes, '50x\n')
    const { stdout } = await quaver(['control', 'show'])
    rmSync(databytes)
    assert.match(stdout, /^databytes +default: 52428800 bytes\n +line 1 is not a number of bytes/m)
  })

  it('gives each program its account, and each socket its owner', async () => {
    writeFileSync(join(home, 'control/roles'), rolesFile)
    for (const service of ['smtp', 'submission', 'submissions', 'pop3', 'pop3s'])
      writeFileSync(join(home, `control/listen-${service}`), '127.0.0.1:0\n')
    running = spawn(launcher, ['start', '--home', home], { stdio: ['ignore', 'ignore', 'ignore'] })
    const rows = (): Promise<ProgramStatus[]> =>
      askAdmin(join(home, 'run/start.sock'), { op: 'status' }).then(
        (all) => all.slice(1) as ProgramStatus[],
        () => [],
      )
    await waitFor(async () => {
      const states = (await rows()).map(({ state }) => state)
      return states.length > 0 && states.every((state) => state === 'running' || state === 'held')
    })
    const status = JSON.parse((await quaver(['status', '--json'])).stdout) as Status
    const uidOfProgram = (program: string): number => {
      const pid = status.programs.find((one) => one.program === program)?.pid ?? 0
      return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
    }
    assert.deepEqual(['queue', 'smtpd', 'remote', 'lspawn'].map(uidOfProgram), [
      uidOf('mail'),
      uidOf('daemon'),
      uidOf('nobody'),
      0,
    ])
    const socket = (name: string): (number | undefined)[] => {
      const facts = statSync(join(home, 'run', `${name}.sock`))
      return [facts.uid, facts.mode & 0o777]
    }
    for (const name of ['.qmail-root', '.qmail-postmaster', '.qmail-mailer-daemon', 'Maildir'])
      assert.equal(statSync(join(home, 'alias', name)).uid, uidOf(roles.alias), name)
    const check = await quaver(['control', 'check'])
    assert.equal(check.code, 0, check.stdout)
    assert.deepEqual(socket('queue-network'), [uidOf('daemon'), 0o600])
    assert.deepEqual(socket('queue-remote'), [uidOf('nobody'), 0o600])
    assert.deepEqual(socket('queue-inject'), [0, 0o666])
    assert.deepEqual(socket('queue-admin'), [0, 0o600])
    assert.deepEqual(socket('start'), [0, 0o600])
    assert.equal(statSync(join(home, 'queue')).uid, uidOf('mail'))
    for (const name of readdirSync(join(home, 'queue')).filter((one) => one.startsWith('queue.db')))
      assert.equal(statSync(join(home, 'queue', name)).mode & 0o077, 0, name)
    const [, port = ''] = /:(\d+)$/.exec(status.smtp[0] ?? '') ?? []
    assert.match(await greeting(Number(port)), /^220 mail\.quaver\.test ESMTP/)
  })

  it('an account gets its mail as its own user, also from another user', async () => {
    const refused = await quaver(['account', 'add', 'anna@example.test'])
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /--user names the account/)
    assert.equal((await quaver(['account', 'add', 'anna@example.test', '--user', 'bin'])).code, 0)
    const sent = await quaver(['send', 'anna@example.test'], 'Subject: from sync\n\nhello\n', uidOf('sync'))
    assert.match(sent.stdout, /^queued as \d+\n$/, sent.stderr)
    const folder = join(home, 'mail/example.test/anna/Maildir/new')
    await waitFor(() => Promise.resolve(readdirSync(folder).length === 1))
    const file = join(folder, readdirSync(folder)[0] ?? '')
    assert.equal(statSync(file).uid, uidOf('bin'))
    assert.match(readFileSync(file, 'latin1'), new RegExp(`invoked by uid ${uidOf('sync')}\\)`))
    const asked = await quaver(['queue', 'list'], '', uidOf('sync'))
    assert.equal(asked.code, 1)
    assert.match(asked.stderr, /this account may not connect: ask as root/)
  })

  it('an account with a uid of its own shares it with nobody; an alias reaches both, with a quota kept by its owner', async () => {
    const box = (name: string): string => join(home, 'mail/example.test', name, 'Maildir')
    const wrong = await quaver(['account', 'add', 'carl@example.test', '--user', 'bin', '--own-uid'])
    assert.match(wrong.stderr, /'bin' owns the mail of anna@example\.test, too/)
    const role = await quaver(['account', 'add', 'carl@example.test', '--user', roles.queue])
    assert.match(role.stderr, /'mail' is the account of the role 'queue'/)
    const own = await quaver([
      ...['account', 'add', 'carl@example.test', '--user', 'sync', '--own-uid', '--quota', '1M'],
    ])
    assert.equal(own.code, 0, own.stderr)
    const second = await quaver(['account', 'add', 'dora@example.test', '--user', 'sync'])
    assert.match(second.stderr, /'sync' is the own uid of carl@example\.test/)
    const alias = ['alias', 'add', 'all@example.test', 'anna@example.test', 'carl@example.test']
    assert.equal((await quaver(alias)).code, 0)
    await quaver(['send', 'all@example.test'], 'Subject: to both\n\nhello\n')
    await waitFor(() => Promise.resolve(readdirSync(join(box('carl'), 'new')).length === 1))
    await waitFor(() => Promise.resolve(readdirSync(join(box('anna'), 'new')).length === 2))
    const file = join(box('carl'), 'new', readdirSync(join(box('carl'), 'new'))[0] ?? '')
    for (const path of [file, box('carl'), join(box('carl'), 'maildirsize')])
      assert.equal(statSync(path).uid, uidOf('sync'), path)
    assert.match(readFileSync(join(box('carl'), 'maildirsize'), 'latin1'), /^1048576S\n0 0\n\d+ 1\n$/)
    assert.equal(statSync(join(home, 'mail/example.test/.aliases')).uid, 0)
    const removed = await quaver(['account', 'remove', 'carl@example.test', '--delete-mail', '--yes'])
    assert.equal(removed.code, 0, removed.stderr)
    assert.deepEqual(readdirSync(join(home, 'mail/example.test')), ['.aliases', 'anna'])
    for (const name of readdirSync(join(box('anna'), 'new'))) {
      if (readFileSync(join(box('anna'), 'new', name), 'latin1').includes('to both'))
        rmSync(join(box('anna'), 'new', name))
    }
  })

  it('what another user leaves while nothing runs is sent as from that user', async () => {
    assert.ok(running !== undefined)
    const ended = once(running, 'exit')
    assert.equal((await quaver(['stop'])).code, 0)
    assert.deepEqual(await ended, [0, null])
    const left = await quaver(['send', 'anna@example.test'], 'Subject: left\n\nhello\n', uidOf('sync'))
    assert.match(left.stdout, /safe in/, left.stderr)
    running = spawn(launcher, ['start', '--home', home], { stdio: ['ignore', 'ignore', 'ignore'] })
    const folder = join(home, 'mail/example.test/anna/Maildir/new')
    await waitFor(() => Promise.resolve(readdirSync(folder).length === 2))
    const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
    const found = texts.find((one) => one.includes('Subject: left'))
    assert.match(found ?? '', new RegExp(`invoked by uid ${uidOf('sync')}\\)`))
    assert.equal((await quaver(['stop'])).code, 0)
  })

  interface Answer {
    readonly code: number | null
    readonly stdout: string
    readonly stderr: string
  }

  function quaver(args: readonly string[], input = '', uid?: number): Promise<Answer> {
    const options = { cwd: '/', timeout: waitMillisecondsMax, ...(uid === undefined ? {} : { uid, gid: uid }) }
    return new Promise((resolve) => {
      const child = execFile(launcher, [...args, '--home', home], options, (_, stdout, stderr) =>
        resolve({ code: child.exitCode, stdout, stderr }),
      )
      child.stdin?.on('error', () => undefined).end(input)
    })
  }
})

interface Status {
  readonly smtp: readonly string[]
  readonly programs: readonly { readonly program: string; readonly pid: number }[]
}

async function greeting(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const [first] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return first.toString('latin1')
}

async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + waitMillisecondsMax
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `not in time: ${String(holds)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
