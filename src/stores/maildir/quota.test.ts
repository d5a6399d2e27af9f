import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { type QuickFiles, quickFiles } from '../../system/quick-files.ts'
import { realRandom } from '../../system/random.ts'
import { storedInMemory } from '../../system/spool.ts'
import { isMailboxFull } from './fullness.ts'
import { Maildirs } from './maildir.ts'
import { countMaildir, readQuota, recordRemoval, removeQuota, writeQuota } from './quota-file.ts'
import { Quotas } from './quotas.ts'

const head = Buffer.from('Return-Path: <>\n')
const sized = (bytes: number): ReturnType<typeof storedInMemory> => storedInMemory([Buffer.alloc(bytes - head.length)])

async function makeMaildir(test: TestContext, maildirsize?: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-quota-'))
  test.after(() => rm(directory, { recursive: true }))
  const maildir = `${directory}/Maildir/`
  for (const part of ['cur', 'new', 'tmp']) await mkdir(`${maildir}${part}`, { recursive: true })
  if (maildirsize !== undefined) await writeFile(`${maildir}maildirsize`, maildirsize)
  return maildir
}

function maildirs(files: QuickFiles = quickFiles): Maildirs {
  return new Maildirs({ files, clock: realClock, random: realRandom, pid: 7, host: 'h' })
}

async function send(store: Maildirs, maildir: string, bytes: number): Promise<string> {
  const outcome = await store.deliver(maildir, head, sized(bytes))
  return outcome.done ? 'delivered' : `${outcome.failure.class} ${outcome.failure.peerText}`
}

const textOf = (maildir: string): Promise<string> => readFile(`${maildir}maildirsize`, 'latin1')
/** Long enough ago that the sum must be counted again. */
const age = (maildir: string): Promise<void> => utimes(`${maildir}maildirsize`, 0, Date.now() / 1000 - 901)
const full = '5 Sorry, this mailbox is full. (#5.2.2)'

describe('quota at delivery', () => {
  it('without a limit is nothing, and writes nothing', async (test) => {
    const maildir = await makeMaildir(test)
    assert.equal(await send(maildirs(), maildir, 5000), 'delivered')
    assert.deepEqual((await readdir(maildir)).sort(), ['cur', 'new', 'tmp'])
    await writeFile(`${maildir}maildirsize`, 'nonsense\n')
    assert.equal(await send(maildirs(), maildir, 5000), 'delivered')
    assert.equal(await textOf(maildir), 'nonsense\n')
  })

  it('adds a line for each message, and refuses for good what does not fit, with nothing written', async (test) => {
    const maildir = await makeMaildir(test, '1000S\n0 0\n')
    const store = maildirs()
    assert.equal(await send(store, maildir, 600), 'delivered')
    assert.equal(await send(store, maildir, 400), 'delivered')
    assert.equal(await textOf(maildir), '1000S\n0 0\n600 1\n400 1\n')
    assert.equal(await send(store, maildir, 20), full)
    // Counted anew before it was refused.
    assert.equal(await textOf(maildir), '1000S\n1000 2\n')
    assert.equal((await readdir(`${maildir}new`)).length, 2)
    assert.deepEqual(await readdir(`${maildir}tmp`), [])
  })

  it('counts messages, too', async (test) => {
    const maildir = await makeMaildir(test, '2C\n0 0\n')
    const store = maildirs()
    assert.deepEqual(
      [await send(store, maildir, 600), await send(store, maildir, 600), await send(store, maildir, 600)],
      ['delivered', 'delivered', full],
    )
  })

  it('counts a Maildir whose limit was written by hand, and its folders but the trash', async (test) => {
    const maildir = await makeMaildir(test, '1000S')
    await writeFile(`${maildir}cur/1.a,S=300:2,S`, '')
    await writeFile(`${maildir}new/2.a`, 'x'.repeat(100))
    for (const folder of ['.Sent', '.Trash']) {
      await mkdir(`${maildir}${folder}/cur`, { recursive: true })
      await writeFile(`${maildir}${folder}/cur/3.a,S=200:2,S`, '')
    }
    assert.equal(await send(maildirs(), maildir, 400), 'delivered')
    assert.equal(await textOf(maildir), '1000S\n600 3\n400 1\n')
  })

  it('of a folder is that of the Maildir around it', async (test) => {
    const maildir = await makeMaildir(test, '1000S\n900 1\n')
    for (const part of ['cur', 'new', 'tmp']) await mkdir(`${maildir}.Lists/${part}`, { recursive: true })
    assert.equal(await send(maildirs(), `${maildir}.Lists/`, 100), 'delivered')
    assert.equal(await textOf(maildir), '1000S\n900 1\n100 1\n')
  })

  it('notices what others deleted, by counting before it refuses', async (test) => {
    const maildir = await makeMaildir(test, '1000S\n900 9\n100 1\n')
    assert.equal(await send(maildirs(), maildir, 500), 'delivered')
    assert.equal(await textOf(maildir), '1000S\n0 0\n500 1\n')
  })

  it('believes a fresh count for a quarter of an hour', async (test) => {
    const maildir = await makeMaildir(test, '1000S\n1000 9\n')
    assert.equal(await send(maildirs(), maildir, 500), full)
    await age(maildir)
    assert.equal(await send(maildirs(), maildir, 500), 'delivered')
  })

  it('is counted anew when the file has grown long', async (test) => {
    const maildir = await makeMaildir(test, `1000000S\n${'1 1\n'.repeat(2000)}`)
    assert.equal(await send(maildirs(), maildir, 500), 'delivered')
    assert.equal(await textOf(maildir), '1000000S\n0 0\n500 1\n')
  })

  it('many at once never go over it, nor is one of them lost or refused for good by mistake', async (test) => {
    const maildir = await makeMaildir(test, '10000S\n0 0\n')
    const store = maildirs()
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => send(store, maildir, 1000)))
    assert.equal(outcomes.filter((one) => one === 'delivered').length, 10)
    assert.ok(outcomes.every((one) => one === 'delivered' || one === '4 This mailbox is almost full. (#4.2.2)'))
    assert.equal((await readdir(`${maildir}new`)).length, 10)
    assert.deepEqual(readQuota(quickFiles, maildir)?.used, { bytes: 10_000, messages: 10 })
    assert.equal(await send(store, maildir, 1000), full)
  })

  it('room that was held is free again when the delivery fails', async (test) => {
    const maildir = await makeMaildir(test, '1000S\n0 0\n')
    const store = maildirs({ ...quickFiles, link: () => assert.fail('no link'), rename: () => assert.fail('no') })
    for (let n = 0; n < 3; n++) assert.match(await send(store, maildir, 900), /^4 Temporary error/)
    assert.equal(await textOf(maildir), '1000S\n0 0\n')
    const quotas = new Quotas({ files: quickFiles, clock: realClock, random: realRandom })
    const room = await quotas.reserve(maildir, 900)
    assert.ok(typeof room === 'object')
    assert.equal(await quotas.reserve(maildir, 900), 'unsure')
    room.release()
    room.release()
    assert.equal(typeof (await quotas.reserve(maildir, 900)), 'object')
  })

  it('waits when it is over and cannot be counted', async (test) => {
    const maildir = await makeMaildir(test, '1000S\n900 1\n90 1\n')
    const files: QuickFiles = { ...quickFiles, sync: () => Promise.reject(new Error('EIO')) }
    assert.equal(await send(maildirs(files), maildir, 500), '4 This mailbox is almost full. (#4.2.2)')
    assert.deepEqual(await readdir(`${maildir}tmp`), [])
  })

  it('does not follow a link to the file', async (test) => {
    const maildir = await makeMaildir(test)
    await writeFile(`${maildir}../other`, '1S\n0 0\n')
    await symlink('../other', `${maildir}maildirsize`)
    assert.equal(await send(maildirs(), maildir, 500), 'delivered')
    assert.equal(await readFile(`${maildir}../other`, 'latin1'), '1S\n0 0\n')
  })
})

describe('quota file', () => {
  it('subtracts what POP3 deleted; where there is no limit, nothing is written', async (test) => {
    const maildir = await makeMaildir(test, '1000S\n900 3\n')
    recordRemoval(quickFiles, maildir, { bytes: 300, messages: 1 })
    recordRemoval(quickFiles, maildir, { bytes: 0, messages: 0 })
    assert.equal(await textOf(maildir), '1000S\n900 3\n-300 -1\n')
    await unlink(`${maildir}maildirsize`)
    recordRemoval(quickFiles, maildir, { bytes: 300, messages: 1 })
    assert.ok(!(await readdir(maildir)).includes('maildirsize'))
    await writeFile(`${maildir}maildirsize`, '1000S')
    recordRemoval(quickFiles, maildir, { bytes: 300, messages: 1 })
    assert.equal(await textOf(maildir), '1000S')
  })

  it('is replaced as a whole, for its owner only, and can be taken away', async (test) => {
    const maildir = await makeMaildir(test)
    await writeFile(`${maildir}new/1.a,S=70`, '')
    const used = await writeQuota(quickFiles, realRandom, maildir, { bytes: 5000, messages: 7 })
    assert.deepEqual(used, { bytes: 70, messages: 1 })
    assert.equal(await textOf(maildir), '5000S,7C\n70 1\n')
    assert.equal((await stat(`${maildir}maildirsize`)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(`${maildir}tmp`), [])
    removeQuota(quickFiles, maildir)
    removeQuota(quickFiles, maildir)
    assert.equal(readQuota(quickFiles, maildir), undefined)
  })

  it('counts 2,000 messages by their names', async (test) => {
    const maildir = await makeMaildir(test)
    await Promise.all(Array.from({ length: 2_000 }, (_, n) => writeFile(`${maildir}new/${n}.a,S=5`, '')))
    assert.deepEqual(await countMaildir(quickFiles, maildir), { bytes: 10_000, messages: 2_000 })
  })

  it('counts again when mail comes while it counts', async (test) => {
    const maildir = await makeMaildir(test)
    let syncs = 0
    const files: QuickFiles = {
      ...quickFiles,
      async sync(fd) {
        syncs++
        if (syncs === 1) await writeFile(`${maildir}new/1.a,S=5`, '')
        await quickFiles.sync(fd)
      },
    }
    assert.deepEqual(await writeQuota(files, realRandom, maildir, { bytes: 9, messages: undefined }), {
      bytes: 5,
      messages: 1,
    })
    assert.equal(syncs, 2)
    assert.deepEqual(await readdir(`${maildir}tmp`), [])
  })
})

describe('a full mailbox', () => {
  it('is one that was counted a short while ago; any doubt lets a message through', async (test) => {
    const maildir = await makeMaildir(test)
    const says = async (text: string): Promise<boolean> => {
      await writeFile(`${maildir}maildirsize`, text)
      return await isMailboxFull(maildir, realClock)
    }
    assert.equal(await isMailboxFull(maildir, realClock), false)
    assert.equal(await says('1000S\n1000 9\n'), true)
    assert.equal(await says('1000S\n999 9\n'), false)
    assert.equal(await says('1000S\n900 9\n100 1\n'), false)
    assert.equal(await says('1000S'), false)
    assert.equal(await says('9C\n1 9\n'), true)
    await age(maildir)
    assert.equal(await isMailboxFull(maildir, realClock), false)
    await rm(`${maildir}maildirsize`)
    await mkdir(`${maildir}maildirsize`)
    assert.equal(await isMailboxFull(maildir, realClock), false)
  })
})
