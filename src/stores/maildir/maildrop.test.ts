import assert from 'node:assert/strict'
import { linkSync, lstatSync, unlinkSync } from 'node:fs'
import { mkdir, readdir, rename, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type Clock, realClock } from '../../system/clock.ts'
import { type QuickFiles, quickFiles } from '../../system/quick-files.ts'
import { openMaildrop } from './maildrop.ts'
import { MaildropLocks } from './maildrop-locks.ts'
import { contentOf, idsIn, machine, makeMaildir } from '#test/kit/maildrop.ts'
import { cleanTemporary, scanMaildir, TooManyMessagesError } from './maildrop-scan.ts'
import { sortInTurns, Turns } from './turns.ts'

/** What was asked about single files, and every step that changes something. */
function recording(
  steps: string[],
  maildir: string,
  failing?: { readonly step: string; readonly code: string },
): QuickFiles {
  const step = (name: string, path: string): void => {
    steps.push(`${name} ${path.slice(maildir.length)}`)
    if (failing?.step === name) throw Object.assign(new Error(failing.code), { code: failing.code })
  }
  return {
    ...quickFiles,
    factsOfEntry: (path) => (step('stat', path), quickFiles.factsOfEntry(path)),
    link: (from, to) => (step('link', from), quickFiles.link(from, to)),
    rename: (from, to) => (step('rename', from), quickFiles.rename(from, to)),
    remove: (path) => (step('remove', path), quickFiles.remove(path)),
    async syncDirectory(path) {
      step('sync', path)
      await quickFiles.syncDirectory(path)
    },
  }
}

describe('maildrop: what is in it', () => {
  it('comes in the order of arrival, new or not, and is counted by the names alone where they say all', async (test) => {
    const names = [
      'new/1500000002.M5P1Q1R0.h,S=7',
      'cur/1500000001.M20P1Q2R0.h,S=100:2,S',
      'cur/1500000001.M3P1Q3R0.h,S=20',
      'new/1500000000.M999999P1Q4R0.h,S=3',
    ]
    const maildir = await makeMaildir(test, names)
    const steps: string[] = []
    const maildrop = await openMaildrop({ files: recording(steps, maildir), clock: realClock }, maildir)
    assert.deepEqual(await idsIn(maildir), [
      '1500000000.M999999P1Q4R0.h,S=3',
      '1500000001.M3P1Q3R0.h,S=20',
      '1500000001.M20P1Q2R0.h,S=100',
      '1500000002.M5P1Q1R0.h,S=7',
    ])
    assert.deepEqual([maildrop.count, maildrop.bytes], [4, 130])
    assert.deepEqual(steps, [])
  })

  it('takes time and size from the file where its name does not say them', async (test) => {
    const maildir = await makeMaildir(test, ['new/b', 'cur/a:2,', 'new/1500000001.h', 'new/9999999999.h,S=9'])
    await utimes(`${maildir}new/b`, 1500000000, 1500000000)
    await utimes(`${maildir}cur/a:2,`, 1500000003, 1500000003)
    await utimes(`${maildir}new/9999999999.h,S=9`, 1500000002, 1500000002)
    const maildrop = await openMaildrop(machine, maildir)
    assert.deepEqual(await idsIn(maildir), ['b', '1500000001.h', '9999999999.h,S=9', 'a'])
    await maildrop.measure()
    assert.equal(maildrop.bytes, 6 + 6 + 9 + 6)
    assert.deepEqual(
      [0, 1, 2, 3].map((index) => maildrop.bytesOf(index)),
      [6, 6, 9, 6],
    )
  })

  it('does not show what came in this second', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h,S=1', 'new/1500000001.h,S=1', 'new/x'])
    await utimes(`${maildir}new/1500000001.h,S=1`, 1500000001, 1500000001)
    await utimes(`${maildir}new/x`, 1500000001, 1500000001)
    const at = (milliseconds: number): Clock => ({ ...realClock, now: () => milliseconds })
    assert.deepEqual(await idsIn(maildir, at(1_500_000_001_999)), ['1500000000.h,S=1'])
    assert.deepEqual(await idsIn(maildir, at(1_500_000_002_000)), ['1500000000.h,S=1', '1500000001.h,S=1', 'x'])
  })

  it('is regular files only, and none whose name begins with a dot', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h', 'new/.1500000000.h', 'cur/.hidden'])
    await mkdir(`${maildir}cur/1500000001.directory`)
    await symlink('/etc/passwd', `${maildir}new/1500000002.link,S=5`)
    assert.deepEqual(await idsIn(maildir), ['1500000000.h'])
  })

  it('has a message once that moves from new/ to cur/ while it is looked for', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h,S=6', 'new/1500000000.i,S=6', 'new/j'])
    const moved = ['1500000000.h,S=6', 'j']
    const move = (): void => {
      for (const name of moved.splice(0)) {
        linkSync(`${maildir}new/${name}`, `${maildir}cur/${name}:2,S`)
        unlinkSync(`${maildir}new/${name}`)
      }
    }
    const listFiles = (path: string): Iterable<readonly string[]> => {
      const listed = [...quickFiles.listFiles(path)]
      if (path.endsWith('/new/')) move()
      return listed
    }
    const later = { ...realClock, now: () => Date.now() + 2000 }
    const maildrop = await openMaildrop({ files: { ...quickFiles, listFiles }, clock: later }, maildir)
    assert.equal(maildrop.count, 3)
    assert.equal(await contentOf(maildrop, 0), 'a: b\n\n')
    assert.equal(await contentOf(maildrop, 2), 'a: b\n\n')
  })

  it('shows what says that it comes from the future, and hides this second only', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500007200.h,S=6', 'new/1500000001.h,S=6', 'new/x'])
    await utimes(`${maildir}new/1500007200.h,S=6`, 1500007200, 1500007200)
    await utimes(`${maildir}new/1500000001.h,S=6`, 1500000001, 1500000001)
    await utimes(`${maildir}new/x`, 1500009000, 1500009000)
    const clock = { ...realClock, now: () => 1_500_000_001_500 }
    assert.deepEqual(await idsIn(maildir, clock), ['1500007200.h,S=6', 'x'])
  })

  it('keeps bytes of names that are no UTF-8', async (test) => {
    const maildir = await makeMaildir(test)
    await writeFile(Buffer.from(`${maildir}new/1500000000.caf\xe9`, 'latin1'), 'hi\n')
    const maildrop = await openMaildrop(machine, maildir)
    assert.match(maildrop.uniqueId(0), /^[0-9a-f]{64}$/)
    assert.equal(await contentOf(maildrop, 0), 'hi\n')
    await maildrop.update()
    assert.deepEqual(await readdir(`${maildir}cur`, { encoding: 'latin1' }), ['1500000000.caf\xe9:2,'])
  })

  it('is refused beyond a number of messages', async (test) => {
    const maildir = await makeMaildir(test, ['new/1.h', 'new/2.h', 'cur/3.h'])
    await assert.rejects(scanMaildir(quickFiles, { ...realClock, now: () => 4e15 }, maildir, 2), TooManyMessagesError)
  })

  it('loses what was left under tmp/ for 36 hours, and nothing younger', async (test) => {
    const maildir = await makeMaildir(test, ['tmp/old', 'tmp/young', 'tmp/.old'])
    const now = Date.now() / 1000
    for (const name of ['old', '.old']) await utimes(`${maildir}tmp/${name}`, now - 36 * 3600 - 60, now)
    await utimes(`${maildir}tmp/young`, now - 36 * 3600 + 60, now - 1e6)
    await cleanTemporary(quickFiles, realClock, maildir)
    assert.deepEqual((await readdir(`${maildir}tmp`)).sort(), ['.old', 'young'])
    await cleanTemporary(quickFiles, realClock, `${maildir}nowhere/`)
  })
})

describe('maildrop: a message that another reader touched', () => {
  it('is found where it is now', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h', 'cur/1500000001.h:2,'])
    const maildrop = await openMaildrop(machine, maildir)
    await rename(`${maildir}new/1500000000.h`, `${maildir}cur/1500000000.h:2,S`)
    await rename(`${maildir}cur/1500000001.h:2,`, `${maildir}cur/1500000001.h:2,FRS`)
    assert.equal(await contentOf(maildrop, 0), 'a: b\n\n')
    assert.equal(await contentOf(maildrop, 1), 'a: b\n\n')
    maildrop.mark(0)
    await rename(`${maildir}cur/1500000000.h:2,S`, `${maildir}cur/1500000000.h:2,ST`)
    assert.deepEqual(await maildrop.update(), { removed: { bytes: 6, messages: 1 }, problem: '' })
    assert.deepEqual(await readdir(`${maildir}cur`), ['1500000001.h:2,FRS'])
  })

  it('is measured where it is now', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h', 'new/1500000001.h', 'new/1500000002.h'])
    const maildrop = await openMaildrop(machine, maildir)
    await rename(`${maildir}new/1500000000.h`, `${maildir}cur/1500000000.h:2,S`)
    await unlink(`${maildir}new/1500000001.h`)
    await maildrop.measure()
    assert.deepEqual([maildrop.bytes, maildrop.bytesOf(0), maildrop.bytesOf(1)], [12, 6, 0])
  })

  it('cannot be opened when it is gone, and is looked for once', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h', 'new/1500000001.h'])
    let looks = 0
    const files = { ...quickFiles, listFiles: (path: string) => (looks++, quickFiles.listFiles(path)) }
    const maildrop = await openMaildrop({ files, clock: realClock }, maildir)
    await unlink(`${maildir}new/1500000000.h`)
    looks = 0
    assert.equal(await contentOf(maildrop, 0), undefined)
    assert.equal(await contentOf(maildrop, 0), undefined)
    assert.equal(looks, 2)
    maildrop.mark(0)
    // Somebody else removed it, and counted it.
    assert.deepEqual(await maildrop.update(), { removed: { bytes: 0, messages: 0 }, problem: '' })
  })

  it('is not a link that somebody put in its place', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h', 'new/1500000001.h'])
    const maildrop = await openMaildrop(machine, maildir)
    for (const name of ['1500000000.h', '1500000001.h']) await unlink(`${maildir}new/${name}`)
    await symlink('/etc/passwd', `${maildir}new/1500000000.h`)
    await mkdir(`${maildir}new/1500000001.h`)
    assert.equal(await contentOf(maildrop, 0), undefined)
    assert.equal(await contentOf(maildrop, 1), undefined)
  })
})

describe('maildrop: a disk that does not answer', () => {
  it('is given up, and its descriptor closed when it comes back', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h'])
    const closed: number[] = []
    let comeBack: (count: number) => void = () => undefined
    const files: QuickFiles = {
      ...quickFiles,
      readFromDisk: () => new Promise((resolve) => (comeBack = resolve)),
      close: (fd) => (closed.push(fd), quickFiles.close(fd)),
    }
    const clock: Clock = { ...realClock, after: (_, callback) => realClock.after(1, callback) }
    const message = await (await openMaildrop({ files, clock }, maildir)).openMessage(0)
    assert.ok(message)
    // Keeps the process alive: a time limit does not.
    const alive = setInterval(() => undefined, 1000)
    await assert.rejects(message.read(Buffer.alloc(10), 0), { name: 'DeadlineError' })
    clearInterval(alive)
    message.close()
    assert.deepEqual(closed, [])
    comeBack(0)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(closed.length, 1)
  })
})

describe('maildrop: update', () => {
  const names = ['new/1500000000.h', 'cur/1500000001.h:2,S', 'new/1500000002.h', 'cur/1500000003.h:2,']

  it('removes what is marked, moves the rest to cur/, and syncs what changed, cur/ first', async (test) => {
    const maildir = await makeMaildir(test, names)
    const steps: string[] = []
    const maildrop = await openMaildrop({ files: recording(steps, maildir), clock: realClock }, maildir)
    maildrop.mark(0)
    await maildrop.measure()
    maildrop.mark(1)
    maildrop.mark(1)
    assert.equal(maildrop.bytes, 12)
    maildrop.unmarkAll()
    assert.equal(maildrop.bytes, 24)
    maildrop.mark(1)
    steps.length = 0
    assert.deepEqual(await maildrop.update(), { removed: { bytes: 6, messages: 1 }, problem: '' })
    assert.deepEqual(steps, [
      'link new/1500000000.h',
      'remove cur/1500000001.h:2,S',
      'link new/1500000002.h',
      'sync cur',
      'remove new/1500000000.h',
      'remove new/1500000002.h',
      'sync new',
    ])
    const left = ['1500000000.h:2,', '1500000002.h:2,', '1500000003.h:2,']
    assert.deepEqual((await readdir(`${maildir}cur`)).sort(), left)
    assert.deepEqual(
      await idsIn(maildir),
      left.map((name) => name.slice(0, -3)),
    )
  })

  it('changes and syncs nothing if there is nothing to do', async (test) => {
    const maildir = await makeMaildir(test, ['cur/1500000001.h,S=1:2,S'])
    const steps: string[] = []
    const maildrop = await openMaildrop({ files: recording(steps, maildir), clock: realClock }, maildir)
    await maildrop.update()
    assert.deepEqual(steps, [])
  })

  for (const step of ['remove', 'sync']) {
    it(`says so when ${step} fails, and does the rest`, async (test) => {
      const maildir = await makeMaildir(test, names)
      const files = recording([], maildir, { step, code: 'EIO' })
      const maildrop = await openMaildrop({ files, clock: realClock }, maildir)
      maildrop.mark(0)
      maildrop.mark(1)
      const { removed, problem } = await maildrop.update()
      assert.equal(problem, 'EIO')
      assert.equal(removed.messages, step === 'remove' ? 0 : 2)
      assert.equal(lstatSync(`${maildir}cur/1500000002.h:2,`).size, 6)
    })
  }

  it('forgives a new name that cannot be given: the message stays where it is', async (test) => {
    const maildir = await makeMaildir(test, names)
    const files = recording([], maildir, { step: 'link', code: 'EACCES' })
    const maildrop = await openMaildrop({ files, clock: realClock }, maildir)
    assert.equal((await maildrop.update()).problem, '')
    assert.equal((await readdir(`${maildir}new`)).length, 2)
  })
})

describe('maildrop locks', () => {
  it('are one a Maildir, whatever its path', async (test) => {
    const maildir = await makeMaildir(test)
    const locks = new MaildropLocks<string>()
    const link = join(maildir, '..', 'link/')
    await symlink(maildir, join(maildir, '..', 'link'))
    const lock = locks.take(quickFiles, maildir, 'first')
    assert.ok('release' in lock)
    assert.deepEqual(locks.take(quickFiles, link, 'second'), { takenBy: 'first' })
    lock.release()
    assert.ok('release' in locks.take(quickFiles, link, 'second'))
    assert.throws(() => locks.take(quickFiles, `${maildir}none/`, 'third'), { code: 'ENOENT' })
  })
})

describe('sort in turns', () => {
  it('sorts as the built-in one does, and lets others work', async () => {
    const keys = fc.array(fc.nat({ max: 50 }), { minLength: 3000, maxLength: 12_000, size: 'max' })
    await fc.assert(
      fc.asyncProperty(keys, async (values) => {
        const compare = (a: number, b: number): number => (values[a] ?? 0) - (values[b] ?? 0) || a - b
        const indexes = Uint32Array.from(values, (_, at) => at)
        const expected = [...indexes].sort(compare)
        // A clock that says at every look that the time is up.
        let now = 0
        const turns = new Turns({ ...realClock, monotonic: () => (now += 100) })
        let others = 0
        let sorting = true
        const other = (): void => {
          others++
          if (sorting) setImmediate(other)
        }
        setImmediate(other)
        assert.deepEqual([...(await sortInTurns(indexes, compare, turns))], expected)
        sorting = false
        assert.ok(others >= 2, `${others} turns of others`)
      }),
      { numRuns: 10 },
    )
  })
})
