import assert from 'node:assert/strict'
import { linkSync, lstatSync } from 'node:fs'
import { readdir, rename, unlink, utimes, writeFile } from 'node:fs/promises'
import { describe, it, type TestContext } from 'node:test'
import { contentOf, idsIn, machine, makeMaildir } from '#test/kit/maildrop.ts'
import { realClock } from '../../system/clock.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { openMaildrop } from './maildrop.ts'

describe('maildrop: two messages of one name', () => {
  /** A file that somebody dropped in by hand, was read and left, and came again with other content. */
  async function again(test: TestContext, name = 'report.eml'): Promise<string> {
    const maildir = await makeMaildir(test)
    const put = async (content: string, seconds: number): Promise<void> => {
      await writeFile(`${maildir}new/${name}`, content)
      await utimes(`${maildir}new/${name}`, seconds, seconds)
    }
    await put('first\n', 1500000000)
    await (await openMaildrop(machine, maildir)).update()
    assert.deepEqual(await readdir(`${maildir}cur`), [`${name}:2,`])
    await put('second\n', 1500000001)
    return maildir
  }
  const contents = async (maildir: string): Promise<(string | undefined)[]> => {
    const maildrop = await openMaildrop(machine, maildir)
    return await Promise.all(Array.from({ length: maildrop.count }, (_, index) => contentOf(maildrop, index)))
  }

  it('are both there, with ids of their own that stay, and neither replaces the other', async (test) => {
    const maildir = await again(test)
    const ids = await idsIn(maildir)
    assert.deepEqual([ids[0], new Set(ids).size], ['report.eml', 2])
    await (await openMaildrop(machine, maildir)).update()
    assert.deepEqual(await readdir(`${maildir}new`), [])
    assert.deepEqual(await contents(maildir), ['first\n', 'second\n'])
    assert.deepEqual(await idsIn(maildir), ids)
  })

  it('are told apart by a name that says when they came, and by a long one of ours', async (test) => {
    for (const name of ['1500000000.h,S=6', `1500000000.M1P2Q3R0123456789abcdef.${'h'.repeat(60)},S=6`]) {
      const maildir = await again(test, name)
      const ids = await idsIn(maildir)
      assert.equal(new Set(ids).size, 2)
      await (await openMaildrop(machine, maildir)).update()
      assert.deepEqual(new Set(await contents(maildir)), new Set(['first\n', 'second\n']))
      assert.deepEqual((await idsIn(maildir)).sort(), ids.sort())
    }
  })

  it('leave the id to the one under cur/, which clients know, whichever is older', async (test) => {
    const maildir = await again(test)
    await utimes(`${maildir}new/report.eml`, 1400000000, 1400000000)
    const ids = await idsIn(maildir)
    assert.equal(ids[1], 'report.eml')
    assert.match(ids[0] ?? '', /^report\.eml,I/)
  })

  it('are not mistaken for one another when another reader moves them, or puts a third in place', async (test) => {
    const maildir = await again(test)
    const maildrop = await openMaildrop(machine, maildir)
    await rename(`${maildir}new/report.eml`, `${maildir}cur/report.eml:2,S`)
    await writeFile(`${maildir}new/report.eml`, 'third\n')
    assert.equal(await contentOf(maildrop, 1), 'second\n')
    maildrop.mark(1)
    assert.equal((await maildrop.update()).removed.messages, 1)
    assert.deepEqual((await readdir(`${maildir}cur`)).sort(), ['report.eml:2,'])
    assert.deepEqual(await readdir(`${maildir}new`), ['report.eml'])
  })

  it('are not removed for one another: what came after the session began stays', async (test) => {
    const maildir = await makeMaildir(test, ['new/x'])
    await utimes(`${maildir}new/x`, 1500000000, 1500000000)
    const maildrop = await openMaildrop(machine, maildir)
    maildrop.mark(0)
    await unlink(`${maildir}new/x`)
    await writeFile(`${maildir}new/x`, 'other\n')
    assert.equal((await maildrop.update()).removed.messages, 0)
    assert.deepEqual(await readdir(`${maildir}new`), ['x'])
  })

  it('stay both where a file system has no links', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h'])
    const link = (): never => {
      throw Object.assign(new Error('no links'), { code: 'EPERM' })
    }
    const maildrop = await openMaildrop({ files: { ...quickFiles, link }, clock: realClock }, maildir)
    await writeFile(`${maildir}cur/1500000000.h:2,`, 'other\n')
    await maildrop.update()
    assert.equal(lstatSync(`${maildir}new/1500000000.h`).size, 6)
    assert.equal(lstatSync(`${maildir}cur/1500000000.h:2,`).size, 6)
    await unlink(`${maildir}cur/1500000000.h:2,`)
    await maildrop.update()
    assert.deepEqual(await readdir(`${maildir}cur`), ['1500000000.h:2,'])
  })

  it('are one where a move was broken off, and the next session finishes it', async (test) => {
    const maildir = await makeMaildir(test, ['new/1500000000.h'])
    linkSync(`${maildir}new/1500000000.h`, `${maildir}cur/1500000000.h:2,S`)
    const maildrop = await openMaildrop(machine, maildir)
    assert.equal(maildrop.count, 1)
    await maildrop.update()
    assert.deepEqual(await readdir(`${maildir}new`), [])
    assert.deepEqual(await readdir(`${maildir}cur`), ['1500000000.h:2,S'])
  })
})
