/** The real lspawn and local processes, as a demo, against a queue that speaks the contracts. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { homeAt, socketPath } from '../../src/stores/home/layout.ts'
import { compileAssign } from '../../src/stores/users/assign.ts'
import { programArguments } from '#test/kit/programs.ts'
import { withoutOtherAccounts } from '../kit/tool.ts'
import { FakeQueue } from './fake-queue.ts'

const uid = process.getuid?.() ?? 0
const gid = process.getgid?.() ?? 0

describe('lspawn and local', () => {
  let directory: string
  let queue: FakeQueue
  let lspawn: ChildProcess
  let log = ''
  const boxAt = (name: string): string => join(directory, 'mail', name)

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'quaver-local-'))
    const home = homeAt(directory)
    for (const name of ['control', 'users', 'alias', 'run', 'mail']) await mkdir(join(directory, name))
    for (const name of ['joe', 'mary']) {
      for (const part of ['cur', 'new', 'tmp']) await mkdir(join(boxAt(name), 'Maildir', part), { recursive: true })
    }
    await writeFile(join(directory, 'control/me'), 'lab.test.example\n')
    const line = (name: string): string =>
      `=${name}:${name}:${uid}:${gid}:${boxAt(name)}:::\n+${name}-:${name}:${uid}:${gid}:${boxAt(name)}:-::\n`
    await writeFile(join(directory, 'users/assign'), `${line('joe')}${line('mary')}.\n`)
    const compiled = await compileAssign(home)
    assert.ok(compiled.done)
    assert.equal(compiled.value.records, 4)
    queue = new FakeQueue(socketPath(home, 'queue-lspawn'))
    lspawn = startLspawn()
  })

  after(async () => {
    if (lspawn.exitCode === null && lspawn.signalCode === null) {
      lspawn.kill('SIGTERM')
      await new Promise((resolve) => lspawn.once('exit', resolve))
    }
    queue.close()
    await rm(directory, { recursive: true })
  })

  function startLspawn(): ChildProcess {
    const child = spawn(process.execPath, [...programArguments('lspawn'), '--home', directory, '--demo'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'] },
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString()
    })
    return child
  }

  async function messagesOf(name: string): Promise<string[]> {
    const directoryOfNew = join(boxAt(name), 'Maildir/new')
    const names = await readdir(directoryOfNew)
    return Promise.all(names.map((file) => readFile(join(directoryOfNew, file), 'latin1')))
  }

  it('puts a message into a Maildir by default', async () => {
    const report = await queue.deliver('s@x', 'joe@lab.test.example', 'Subject: x\n\nhi\n')
    assert.deepEqual(report, { letter: 'K', text: 'did 1+0+0\n' }, log)
    const head = 'Return-Path: <s@x>\nDelivered-To: joe@lab.test.example\n'
    assert.deepEqual(await messagesOf('joe'), [`${head}Subject: x\n\nhi\n`])
    const [name] = await readdir(join(boxAt('joe'), 'Maildir/new'))
    assert.match(name ?? '', /^\d+\.M\d+P\d+Q1R[0-9a-f]{16}\.[^/:]+,S=69$/)
    assert.deepEqual(await readdir(join(boxAt('joe'), 'Maildir/tmp')), [])
  })

  it('serves all users of one uid by one process, and gives a recipient the same key again', async () => {
    await queue.deliver('s@x', 'mary@lab.test.example', 'a\n')
    await queue.deliver('s@x', 'mary@lab.test.example', 'b\n')
    assert.equal(queue.localsSeen.get(uid), 1)
    const [first, second] = queue.keys.slice(-2)
    assert.equal(first, second)
    assert.notEqual(queue.keys[0], first)
    assert.equal((await messagesOf('mary')).length, 2)
  })

  it('delivers many at once, each once', async () => {
    const earlier = (await messagesOf('mary')).length
    const sent = Array.from({ length: 300 }, (_, n) => `n: ${n}\n\n${'x'.repeat(2000)}\n`)
    const reports = await Promise.all(sent.map((content) => queue.deliver('', 'mary@lab.test.example', content)))
    assert.ok(reports.every(({ letter }) => letter === 'K'))
    const bodies = (await messagesOf('mary')).map((text) => text.replace(/^.*\n.*\n/, ''))
    assert.equal(bodies.length, earlier + 300)
    for (const content of sent) assert.equal(bodies.filter((body) => body === content).length, 1)
  })

  it('fetches large content, small enough for memory and not', async () => {
    for (const bytes of [70_000, 5_000_000]) {
      const content = Buffer.alloc(bytes, 'abcdefghijklmnopqrstuvwxyz\n')
      const report = await queue.deliver('s@x', 'joe-big@lab.test.example', content, false)
      assert.deepEqual(report, { letter: 'D', text: 'Sorry, no mailbox here by that name. (#5.1.1)\n' })
      assert.equal((await queue.deliver('s@x', 'joe@lab.test.example', content, false)).letter, 'K')
      const found = (await messagesOf('joe')).find((text) => text.length > bytes)
      assert.ok(found?.endsWith(content.toString('latin1')))
      for (const name of await readdir(join(boxAt('joe'), 'Maildir/new'))) {
        if (name.includes(`,S=${found?.length}`)) await rm(join(boxAt('joe'), 'Maildir/new', name))
      }
    }
  })

  it('runs .qmail: programs with their environment, then forwards through the queue', async () => {
    const lines = `|cat > seen; echo "$EXT $DEFAULT" "$(id -G)"; echo err >&2; echo out\n&a@b\nc@d\n`
    await writeFile(join(boxAt('joe'), '.qmail-list-default'), lines)
    await writeFile(join(boxAt('joe'), '.qmail-list-a-owner'), '')
    const report = await queue.deliver('s@x', 'joe-list-A@lab.test.example', 'Subject: x\n\nhi\n')
    assert.deepEqual(report, { letter: 'K', text: `list-A A ${groupsOf()}\nerr\nout\ndid 0+2+1\nqp 101\n` })
    assert.equal(await readFile(join(boxAt('joe'), 'seen'), 'latin1'), 'Subject: x\n\nhi\n')
    assert.deepEqual(queue.taken, [
      {
        sender: 'joe-list-A-owner@lab.test.example',
        recipients: ['a@b', 'c@d'],
        content: 'Delivered-To: joe-list-A@lab.test.example\nSubject: x\n\nhi\n',
      },
    ])
  })

  it('forwards large content as a stream', async () => {
    await writeFile(join(boxAt('joe'), '.qmail-away'), 'far@away\n')
    const content = Buffer.alloc(300_000, 'line\n').toString()
    const report = await queue.deliver('s@x', 'joe-away@lab.test.example', content, false)
    assert.match(report.text, /^did 0\+1\+0\nqp \d+\n$/)
    const taken = queue.taken.at(-1)
    assert.equal(taken?.content, `Delivered-To: joe-away@lab.test.example\n${content}`)
  })

  it('answers without a local where none is needed', async () => {
    assert.deepEqual(await queue.deliver('s@x', '@lab.test.example', 'x\n'), { letter: 'K', text: '' })
    const noHost = { letter: 'D', text: 'Sorry, address must include host name. (#5.1.3)\n' }
    assert.deepEqual(await queue.deliver('s@x', 'joe', 'x\n'), noHost)
  })

  it('gives unknown users to the alias, which has no such mailbox', async () => {
    const report = await queue.deliver('s@x', 'nobody-knows@lab.test.example', 'x\n')
    assert.deepEqual(report, { letter: 'D', text: 'Sorry, no mailbox here by that name. (#5.1.1)\n' })
    await writeFile(join(directory, 'alias/.qmail-default'), `./box\n`)
    const second = await queue.deliver('s@x', 'nobody-knows@lab.test.example', 'x\n')
    assert.deepEqual(second, { letter: 'K', text: 'did 1+0+0\n' })
    assert.match(await readFile(join(directory, 'alias/box'), 'latin1'), /^From s@x .*\nReturn-Path: <s@x>\n/)
  })

  it('defers where a home is not to be written to', async () => {
    await chmod(boxAt('mary'), 0o1700)
    const sticky = await queue.deliver('s@x', 'mary@lab.test.example', 'x\n')
    const text = 'Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n'
    assert.deepEqual(sticky, { letter: 'Z', text })
    await chmod(boxAt('mary'), 0o702)
    const writable = await queue.deliver('s@x', 'mary@lab.test.example', 'x\n')
    assert.deepEqual(writable, { letter: 'Z', text: 'Uh-oh: home directory is writable. (#4.7.0)\n' })
    await chmod(boxAt('mary'), 0o700)
  })

  it('re-reads users/cdb when it has changed, and says when it is broken', async () => {
    const cdb = await readFile(join(directory, 'users/cdb'))
    await writeFile(join(directory, 'users/cdb'), 'x'.repeat(3000))
    const report = await queue.deliver('s@x', 'mary@lab.test.example', 'x\n')
    assert.deepEqual(report, { letter: 'Z', text: 'Trouble reading users/cdb in qmail-lspawn.\n' })
    await writeFile(join(directory, 'users/cdb'), cdb)
    assert.equal((await queue.deliver('s@x', 'mary@lab.test.example', 'x\n')).letter, 'K')
  })

  it('comes back when the queue was gone', async () => {
    queue.dropConnections()
    assert.equal((await queue.deliver('s@x', 'mary@lab.test.example', 'x\n')).letter, 'K')
  })

  it('starts another local when one is killed', async () => {
    const [pid] = await childrenOf(lspawn.pid)
    if (pid === undefined) return
    const seen = queue.localsSeen.get(uid) ?? 0
    const isGone = (): boolean => queue.localCount === 0 || (queue.localsSeen.get(uid) ?? 0) > seen
    process.kill(Number(pid), 'SIGKILL')
    await queue.until(isGone, 'the end of a local')
    assert.equal((await queue.deliver('s@x', 'mary@lab.test.example', 'x\n')).letter, 'K')
    assert.deepEqual(await readdir(join(boxAt('mary'), 'Maildir/tmp')), [])
  })

  it('ends a local that its user has stopped, and starts another', async () => {
    const [pid] = await childrenOf(lspawn.pid)
    if (pid === undefined) return
    const seen = queue.localsSeen.get(uid) ?? 0
    process.kill(Number(pid), 'SIGSTOP')
    await queue.until(() => queue.localCount === 0 || (queue.localsSeen.get(uid) ?? 0) > seen, 'the end of a local')
    // It is the second that ended badly in a short time: another comes after a pause, and mail is deferred meanwhile.
    const isDelivered = async (): Promise<boolean> =>
      (await queue.deliver('s@x', 'mary@lab.test.example', 'x\n')).letter === 'K'
    while (!(await isDelivered())) await new Promise((resolve) => setTimeout(resolve, 100))
    assert.match(log, new RegExp(`warning: local of uid ${uid} was stopped, and is ended`))
  })

  it('stops when told, after its locals have', async () => {
    const locals = await childrenOf(lspawn.pid)
    assert.equal(locals.length, existsSync('/proc') ? 1 : 0)
    lspawn.kill('SIGTERM')
    const code = await new Promise((resolve) => lspawn.once('exit', resolve))
    assert.equal(code, 0, log)
    for (const pid of locals) assert.ok(!existsSync(`/proc/${pid}`))
    assert.ok(!log.includes('bug'), log)
  })
})

describe('QMAILQUEUE', () => {
  it('takes forwards instead of the queue', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'quaver-qq-'))
    for (const name of ['control', 'users', 'alias', 'run']) await mkdir(join(directory, name))
    const script = '#!/bin/sh\ncat > content; cat <&1 > envelope; echo "$LOCAL" > local\n'
    await writeFile(join(directory, 'enqueuer'), script, { mode: 0o755 })
    await writeFile(join(directory, 'alias/.qmail-away'), 'far@away\n')
    const queue = new FakeQueue(socketPath(homeAt(directory), 'queue-lspawn'))
    const flags = [...programArguments('lspawn'), '--home', directory, '--demo']
    const env = { PATH: process.env['PATH'], QMAILQUEUE: './enqueuer' }
    const lspawn = spawn(process.execPath, flags, { stdio: ['ignore', 'ignore', 'inherit'], env })
    try {
      const report = await queue.deliver('s@x', 'away@lab.test.example', 'Subject: x\n')
      assert.match(report.text, /^did 0\+1\+0\nqp \d+\n$/)
      assert.equal(queue.taken.length, 0)
      assert.equal(await readFile(join(directory, 'envelope'), 'latin1'), 'Fs@x\0Tfar@away\0\0')
      const content = await readFile(join(directory, 'content'), 'latin1')
      assert.equal(content, 'Delivered-To: away@lab.test.example\nSubject: x\n')
      assert.equal(await readFile(join(directory, 'local'), 'latin1'), 'away\n')
    } finally {
      lspawn.kill('SIGTERM')
      await new Promise((resolve) => lspawn.once('exit', resolve))
      queue.close()
      await rm(directory, { recursive: true })
    }
  })
})

describe('lspawn in a system home', { skip: withoutOtherAccounts() }, () => {
  const recipientUid = 65_534
  const recipientGid = 65_533
  let directory: string
  let queue: FakeQueue
  let lspawn: ChildProcess

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'quaver-system-'))
    await chmod(directory, 0o755)
    for (const name of ['control', 'users', 'alias', 'run']) await mkdir(join(directory, name))
    const home = join(directory, 'joe')
    for (const part of ['', 'Maildir', 'Maildir/cur', 'Maildir/new', 'Maildir/tmp']) {
      await mkdir(join(home, part))
      await chown(join(home, part), recipientUid, recipientGid)
    }
    await writeFile(join(home, '.qmail-who'), '|id -u; id -G; pwd; ls -la > listing; umask\n')
    const assign = `=root:root:0:0:/root:::\n=joe:joe:${recipientUid}:${recipientGid}:${home}:::\n`
    const other = `+joe-:joe:${recipientUid}:${recipientGid}:${home}:-::\n=group:joe:${recipientUid}:1:${home}:::\n`
    await writeFile(join(directory, 'users/assign'), `${assign}${other}.\n`)
    assert.ok((await compileAssign(homeAt(directory))).done)
    queue = new FakeQueue(socketPath(homeAt(directory), 'queue-lspawn'))
    lspawn = spawn(process.execPath, [...programArguments('lspawn'), '--home', directory], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  })

  after(async () => {
    lspawn.kill('SIGTERM')
    await new Promise((resolve) => lspawn.once('exit', resolve))
    queue.close()
    await rm(directory, { recursive: true })
  })

  it('delivers as the recipient, with its group and no other', async () => {
    const report = await queue.deliver('s@x', 'joe-who@lab.test.example', 'x\n')
    const home = join(directory, 'joe')
    const text = `${recipientUid}\n${recipientGid}\n${home}\n0077\ndid 0+0+1\n`
    assert.deepEqual(report, { letter: 'K', text })
    assert.deepEqual(await queue.deliver('s@x', 'joe@lab.test.example', 'x\n'), { letter: 'K', text: 'did 1+0+0\n' })
    const [name] = await readdir(join(home, 'Maildir/new'))
    const facts = await stat(join(home, 'Maildir/new', name ?? ''))
    assert.deepEqual([facts.uid, facts.gid, facts.mode & 0o777], [recipientUid, recipientGid, 0o600])
  })

  it('never delivers as root', async () => {
    const report = await queue.deliver('s@x', 'root@lab.test.example', 'x\n')
    assert.deepEqual(report, { letter: 'Z', text: 'Not allowed to perform deliveries as root.\n' })
  })

  it('does not deliver under a group that is not the one assigned', async () => {
    const report = await queue.deliver('s@x', 'group@lab.test.example', 'x\n')
    assert.deepEqual(report, { letter: 'Z', text: 'Unable to run qmail-local.\n' })
  })
})

/** Supplementary groups stay those of the caller where the uid does not change. */
function groupsOf(): string {
  return [...new Set([gid, ...(process.getgroups?.() ?? [])])].join(' ')
}

async function childrenOf(parent: number | undefined): Promise<string[]> {
  const children: string[] = []
  for (const entry of existsSync('/proc') ? await readdir('/proc') : []) {
    if (!/^\d+$/.test(entry)) continue
    const facts = await readFile(`/proc/${entry}/stat`, 'latin1').catch(() => '')
    if (facts.slice(facts.lastIndexOf(')')).split(' ')[2] === String(parent)) children.push(entry)
  }
  return children
}
