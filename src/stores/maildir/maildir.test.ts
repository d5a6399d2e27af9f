import assert from 'node:assert/strict'
import { constants } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { type QuickFiles, quickFiles } from '../../system/quick-files.ts'
import { realRandom } from '../../system/random.ts'
import { storedInMemory } from '../../system/spool.ts'
import { DirectorySync } from '../../system/directory-sync.ts'
import { Maildirs } from './maildir.ts'

const head = Buffer.from('Return-Path: <>\n')
const body = storedInMemory([Buffer.from('Subject: x\n\n'), Buffer.from('hi\n')])

class SystemError extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/** Real files that write down every step, and fail at the one they are told. */
function recording(steps: string[], failing?: { readonly step: string; readonly code: string }): QuickFiles {
  const step = (name: string, path = ''): void => {
    const where = path.replace(/.*Maildir\/?/, '').replace(/\d+\.M\S+/, 'NAME')
    steps.push(`${name} ${where}`.trimEnd())
    if (failing?.step === name) throw new SystemError(failing.code)
  }
  return {
    ...quickFiles,
    create: (path, mode) => (step('create', path), quickFiles.create(path, mode)),
    write: (fd, parts) => (step('write'), quickFiles.write(fd, parts)),
    close: (fd) => (step('close'), quickFiles.close(fd)),
    link: (from, to) => (step('link', to), quickFiles.link(from, to)),
    rename: (from, to) => (step('rename', to), quickFiles.rename(from, to)),
    remove: (path) => (step('remove', path), quickFiles.remove(path)),
    async sync(fd) {
      step('sync')
      await quickFiles.sync(fd)
      steps.push('synced')
    },
    async syncDirectory(path) {
      step('syncDirectory', path)
      await quickFiles.syncDirectory(path)
      steps.push('directory synced')
    },
  }
}

async function makeMaildir(test: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-maildir-'))
  test.after(() => rm(directory, { recursive: true }))
  for (const part of ['cur', 'new', 'tmp']) await mkdir(join(directory, 'Maildir', part), { recursive: true })
  return `${directory}/Maildir/`
}

function maildirs(files: QuickFiles = quickFiles, host = 'a/b:c'): Maildirs {
  return new Maildirs({ files, clock: realClock, random: realRandom, pid: 7, host })
}

describe('maildir', () => {
  it('syncs the file before it gets its name, and the name before success', async (test) => {
    const maildir = await makeMaildir(test)
    const steps: string[] = []
    const outcome = await maildirs(recording(steps)).deliver(maildir, head, body)
    steps.push('success')
    assert.ok(outcome.done)
    assert.deepEqual(steps, [
      'create tmp/NAME',
      'write',
      'sync',
      'synced',
      'close',
      'link new/NAME',
      'remove tmp/NAME',
      'syncDirectory new',
      'directory synced',
      'success',
    ])
  })

  it('writes head and content, mode 600, under a name that says its size', async (test) => {
    const maildir = await makeMaildir(test)
    await maildirs().deliver(maildir, head, body)
    const [name] = await readdir(`${maildir}new`)
    assert.match(name ?? '', /^\d+\.M\d+P7Q1R[0-9a-f]{16}\.a\\057b\\072c,S=31$/)
    assert.equal(await readFile(`${maildir}new/${name}`, 'latin1'), 'Return-Path: <>\nSubject: x\n\nhi\n')
    const facts = await stat(`${maildir}new/${name}`)
    assert.deepEqual([facts.size, facts.mode & 0o777, facts.nlink], [31, 0o600, 1])
  })

  for (const step of ['write', 'sync', 'link', 'syncDirectory']) {
    for (const code of ['EIO', 'ENOSPC', 'EDQUOT']) {
      it(`defers when ${step} fails with ${code}, and leaves nothing under tmp/`, async (test) => {
        const maildir = await makeMaildir(test)
        const steps: string[] = []
        const outcome = await maildirs(recording(steps, { step, code })).deliver(maildir, head, body)
        assert.ok(!outcome.done)
        assert.equal(outcome.failure.class, 4)
        assert.equal(outcome.failure.peerText, 'Temporary error on maildir delivery. (#4.3.0)')
        assert.deepEqual(await readdir(`${maildir}tmp`), [])
        assert.equal(steps.filter((name) => name === 'sync').length, step === 'write' ? 0 : 1)
        assert.equal(steps.filter((name) => name === 'close').length, 1)
        if (step !== 'syncDirectory') assert.deepEqual(await readdir(`${maildir}new`), [])
      })
    }
  }

  it('renames where there are no links', async (test) => {
    const maildir = await makeMaildir(test)
    const outcome = await maildirs(recording([], { step: 'link', code: 'EPERM' })).deliver(maildir, head, body)
    assert.ok(outcome.done)
    assert.equal((await readdir(`${maildir}new`)).length, 1)
    assert.deepEqual(await readdir(`${maildir}tmp`), [])
  })

  it('never overwrites a message', async (test) => {
    const maildir = await makeMaildir(test)
    const steps: string[] = []
    const files = recording(steps, { step: 'link', code: 'EEXIST' })
    const outcome = await maildirs(files).deliver(maildir, head, body)
    assert.ok(!outcome.done)
    assert.ok(!steps.includes('rename new/NAME'))
  })

  it('takes another name if one is taken, and follows no link in its place', async (test) => {
    const maildir = await makeMaildir(test)
    const victim = join(maildir, '..', 'victim')
    let tries = 0
    const files: QuickFiles = {
      ...quickFiles,
      create(path, mode) {
        tries++
        if (tries === 1) quickFiles.close(quickFiles.open(path, constants.O_CREAT | constants.O_WRONLY, 0o600))
        return quickFiles.create(path, mode)
      },
    }
    assert.ok((await maildirs(files).deliver(maildir, head, body)).done)
    assert.equal(tries, 2)
    await symlink(victim, `${maildir}tmp/name`)
    assert.throws(() => quickFiles.create(`${maildir}tmp/name`, 0o600), { code: 'EEXIST' })
  })

  it('says when there is no Maildir', async (test) => {
    const maildir = await makeMaildir(test)
    for (const [path, text] of [
      [`${maildir}none/`, 'Unable to chdir to maildir. (#4.2.1)'],
      [`${maildir}cur/`, 'Temporary error on maildir delivery. (#4.3.0)'],
    ] as const) {
      const outcome = await maildirs().deliver(path, head, body)
      assert.ok(!outcome.done)
      assert.equal(outcome.failure.peerText, text)
    }
  })
})

describe('shared directory sync', () => {
  it('lets all who came before it started share one, and no one who came after', async () => {
    const started: string[] = []
    const finish: (() => void)[] = []
    let begun: () => void = () => undefined
    const sync = new DirectorySync((path) => {
      started.push(path)
      begun()
      return new Promise((resolve) => finish.push(resolve))
    })
    const next = (): Promise<void> => new Promise((resolve) => (begun = resolve))
    let order: string[] = []
    const mark = (name: string, promise: Promise<void>): Promise<unknown> => promise.then(() => order.push(name))

    let start = next()
    const first = [mark('a', sync.sync('d')), mark('b', sync.sync('d'))]
    await start
    assert.equal(started.length, 1)
    const second = [mark('c', sync.sync('d')), mark('d', sync.sync('d'))]
    start = next()
    finish[0]?.()
    await Promise.all(first)
    assert.deepEqual(order, ['a', 'b'])
    order = []
    await start
    assert.equal(started.length, 2)
    finish[1]?.()
    await Promise.all(second)
    assert.deepEqual(order, ['c', 'd'])
  })

  it('fails all who shared, and works again after that', async () => {
    let failing = true
    const sync = new DirectorySync(() => (failing ? Promise.reject(new SystemError('EIO')) : Promise.resolve()))
    const results = await Promise.allSettled([sync.sync('d'), sync.sync('d')])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    failing = false
    await sync.sync('d')
  })

  it('costs 200 deliveries at once far fewer than 200 syncs', async (test) => {
    const maildir = await makeMaildir(test)
    const steps: string[] = []
    const store = maildirs(recording(steps))
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => store.deliver(maildir, head, body)))
    assert.ok(outcomes.every((outcome) => outcome.done))
    assert.equal((await readdir(`${maildir}new`)).length, 200)
    const syncs = steps.filter((step) => step === 'syncDirectory new').length
    assert.ok(syncs < 150, `${syncs} directory syncs`)
    // The last name is followed by a whole sync.
    assert.ok(steps.lastIndexOf('syncDirectory new') > steps.lastIndexOf('link new/NAME'))
  })
})
