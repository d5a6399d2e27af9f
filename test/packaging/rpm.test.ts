/** The package of Red Hat's family: the same bytes each time, what it puts down, and what it takes away. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { rpm } from '../../packaging/rpm.ts'
import { stage } from '../../packaging/stage.ts'
import { fileDigest, readManifest } from '../../src/stores/installation/manifest.ts'
import { withoutCleanRoot } from '#test/kit/clean-root.ts'
import { root as repository } from '#test/kit/instance.ts'
import { without } from '#test/kit/tool.ts'

const epoch = 1_700_000_000
const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'

describe('the rpm', { concurrency: false, skip: withoutCleanRoot() || without('rpmbuild', 'rpm') }, () => {
  const work = mkdtempSync(join(tmpdir(), 'quaver-rpm-test-'))
  const staged = join(work, 'staged')
  const machine = join(work, 'machine')
  let path = ''
  const build = async (name: string): Promise<string> => {
    const directory = join(work, name)
    mkdirSync(directory)
    return await rpm({ staged, version: '0.1.0', architecture, epoch, directory, compression: 'none' })
  }
  before(async () => {
    mkdirSync(staged)
    mkdirSync(machine)
    const onProgress = (): void => undefined
    await stage({ root: repository, destination: staged, prefix: '/usr', architecture, epoch, onProgress })
    path = await build('first')
  })
  after(() => rmSync(work, { recursive: true, force: true }))

  it('has the same bytes each time, and no script', async () => {
    assert.ok(readFileSync(path).equals(readFileSync(await build('second'))))
    assert.equal(execFileSync('rpm', ['-qp', '--scripts', path], { encoding: 'utf8' }), '')
  })

  it('puts down what the table says, of root, and takes all of it away', async () => {
    const here = ['--root', machine]
    // There is nothing in this root that it could depend on.
    execFileSync('rpm', [...here, '--install', '--nodeps', path])
    for (const one of (await readManifest(join(machine, 'usr'))) ?? assert.fail('no manifest')) {
      const there = join(machine, 'usr', one.path)
      const facts = lstatSync(there)
      assert.deepEqual([facts.uid, facts.gid], [0, 0], there)
      if (one.kind === 'link') continue
      assert.equal(facts.mode & 0o7777, one.mode, there)
      if (one.kind === 'file' && one.sha256 !== '') assert.equal(await fileDigest(there), one.sha256, there)
    }
    assert.match(execFileSync('rpm', [...here, '--verify', '--nodeps', 'quaver'], { encoding: 'utf8' }), /^$/)
    assert.match(execFileSync(join(machine, 'usr/bin/quaver'), ['--version'], { encoding: 'utf8' }), /^\S+\n$/)
    execFileSync('rpm', [...here, '--erase', '--nodeps', 'quaver'])
    assert.ok(!existsSync(join(machine, 'usr/lib/quaver')))
    assert.ok(!existsSync(join(machine, 'usr/bin/quaver')))
  })
})
