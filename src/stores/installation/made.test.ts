import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { MadeError, MadeThings } from './made.ts'

describe('what was made', () => {
  let base = ''
  let home = ''
  beforeEach(async () => {
    base = mkdtempSync(join(tmpdir(), 'quaver-made-'))
    home = join(base, 'home')
    await (await MadeThings.read(home)).directory(home)
  })
  afterEach(() => rmSync(base, { recursive: true, force: true }))

  const at = (name: string): string => join(base, name)
  async function removeAll(): Promise<string[]> {
    const made = await MadeThings.read(home)
    const stays: string[] = []
    for (const one of made.toRemove()) {
      const why = one.path === home ? undefined : await made.remove(one)
      if (why !== undefined) stays.push(`${one.path.slice(base.length)} ${why}`)
    }
    return stays
  }

  it('is taken away again, with the directories that were missing, and nothing else', async () => {
    const made = await MadeThings.read(home)
    mkdirSync(at('etc'))
    assert.equal(await made.file(at('etc/quaver/control/me'), 'host\n', 0o640), 'made')
    assert.equal(await made.link(join(home, 'control'), at('etc/quaver/control')), 'made')
    assert.equal(statSync(at('etc/quaver/control/me')).mode & 0o777, 0o640)
    assert.deepEqual(await removeAll(), [])
    assert.ok(existsSync(at('etc')))
    assert.ok(!existsSync(at('etc/quaver')))
    assert.ok(!existsSync(join(home, 'control')))
  })

  it('is known by where it is, whatever link led there', async () => {
    const made = await MadeThings.read(home)
    await made.directory(at('etc/control'))
    await made.link(join(home, 'control'), at('etc/control'))
    await made.file(join(home, 'control/me'), 'host\n', 0o644)
    rmSync(join(home, 'control'))
    assert.deepEqual(await removeAll(), [])
    assert.ok(!existsSync(at('etc/control/me')))
  })

  it('stays when somebody has edited it, replaced it, or put something beside it', async () => {
    const made = await MadeThings.read(home)
    await made.file(at('a/edited'), 'ours\n', 0o644)
    await made.link(at('a/link'), '/nowhere')
    await made.file(at('b/file'), 'ours\n', 0o644)
    writeFileSync(at('a/edited'), 'theirs\n')
    rmSync(at('a/link'))
    symlinkSync('/elsewhere', at('a/link'))
    writeFileSync(at('b/other'), '')
    const stays = await removeAll()
    assert.deepEqual(stays.toSorted(), [
      '/a is not empty',
      '/a/edited was edited',
      '/a/link leads elsewhere now',
      '/b is not empty',
    ])
    assert.equal(readFileSync(at('a/edited'), 'utf8'), 'theirs\n')
    assert.ok(!existsSync(at('b/file')))
  })

  it('is brought up to date where nobody has edited it', async () => {
    const made = await MadeThings.read(home)
    await made.file(at('unit'), 'old\n', 0o644)
    assert.equal(await made.file(at('unit'), 'old\n', 0o644), 'there')
    assert.equal(await made.file(at('unit'), 'new\n', 0o644), 'changed')
    writeFileSync(at('unit'), 'edited\n')
    assert.equal(await made.file(at('unit'), 'newer\n', 0o644), 'kept')
    assert.equal(readFileSync(at('unit'), 'utf8'), 'edited\n')
  })

  it('is not what was there before', async () => {
    writeFileSync(at('mine'), 'mine\n')
    symlinkSync('/mine', at('link'))
    const made = await MadeThings.read(home)
    assert.equal(await made.file(at('mine'), 'ours\n', 0o644), 'kept')
    assert.equal(await made.link(at('link'), '/ours'), 'kept')
    assert.equal(await made.expect(at('mine'), 0o600), false)
    assert.deepEqual(await removeAll(), [])
    assert.equal(readFileSync(at('mine'), 'utf8'), 'mine\n')
    assert.equal(readlinkSync(at('link')), '/mine')
  })

  it('is ours when a power cut came between the note and the thing, or in the middle of it', async () => {
    const made = await MadeThings.read(home)
    await made.note({ kind: 'file', path: at('never'), sha256: 'x', mode: 0o644 })
    assert.equal(await made.expect(at('half'), 0o600), true)
    writeFileSync(at('half'), 'half')
    assert.equal(await (await MadeThings.read(home)).expect(at('half'), 0o600), true)
    assert.deepEqual(await removeAll(), [])
    assert.ok(!existsSync(at('half')))
  })

  it('is ours when a power cut came between a directory and its mode, or between the home and its record', async () => {
    const fresh = at('fresh')
    mkdirSync(fresh, { mode: 0o700 })
    const made = await MadeThings.read(fresh)
    assert.equal(await made.directory(fresh), 'made')
    await made.note({ kind: 'directory', path: join(fresh, 'inner') })
    mkdirSync(join(fresh, 'inner'), { mode: 0o700 })
    assert.equal(await made.directory(join(fresh, 'inner')), 'made')
    assert.equal(statSync(join(fresh, 'inner')).mode & 0o777, 0o755)
    assert.deepEqual(
      (await MadeThings.read(fresh)).all().map(({ path }) => path),
      [fresh, join(fresh, 'inner')],
    )
    mkdirSync(join(fresh, 'theirs'), { mode: 0o700 })
    assert.equal(await made.directory(join(fresh, 'theirs')), 'there')
  })

  it('is nothing that can be guessed when the record cannot be read', async () => {
    writeFileSync(join(home, 'made.json'), '[{"kind":"file"}]')
    await assert.rejects(MadeThings.read(home), MadeError)
    writeFileSync(join(home, 'made.json'), '[{')
    await assert.rejects(MadeThings.read(home), MadeError)
  })

  it('gives back what was set aside, once its place is free again', async () => {
    writeFileSync(at('mailer.conf'), 'before')
    const made = await MadeThings.read(home)
    await made.setAside(at('mailer.conf'), at('mailer.conf.before'), 'rename')
    await made.file(at('mailer.conf'), 'ours', 0o644)
    await assert.rejects(made.setAside(at('mailer.conf'), at('mailer.conf.before'), 'rename'), MadeError)
    writeFileSync(at('mailer.conf'), 'edited')
    assert.deepEqual(await removeAll(), [
      '/mailer.conf was edited',
      `/mailer.conf.before was at ${at('mailer.conf')}, where something else is now`,
    ])
    rmSync(at('mailer.conf'))
    assert.deepEqual(await removeAll(), [])
    assert.equal(readFileSync(at('mailer.conf'), 'utf8'), 'before')
    assert.ok(!existsSync(at('mailer.conf.before')))
  })

  it('gives back what a killed set-up had only noted', async () => {
    writeFileSync(at('mailer.conf'), 'before')
    const made = await MadeThings.read(home)
    await made.note({ kind: 'replaced', path: at('mailer.conf.before'), was: at('mailer.conf'), by: 'rename' })
    assert.deepEqual(await removeAll(), [])
    assert.equal(readFileSync(at('mailer.conf'), 'utf8'), 'before')
  })
})
