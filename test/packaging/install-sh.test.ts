/** install.sh of the tarball: below a prefix, again over itself, and away without a trace. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { stage } from '../../packaging/stage.ts'
import { root, run } from '#test/kit/instance.ts'
import { withoutRoot } from '#test/kit/tool.ts'

const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'

describe('install.sh', { concurrency: false }, () => {
  const base = mkdtempSync(join(tmpdir(), 'quaver-install-'))
  const archive = join(base, 'archive')
  const prefix = join(base, 'opt/quaver')
  const quaver = join(prefix, 'bin/quaver')
  before(async () => {
    mkdirSync(archive)
    await stage({
      root,
      destination: archive,
      prefix: '/',
      architecture,
      epoch: 1_700_000_000,
      onProgress: () => undefined,
    })
    copyFileSync(join(root, 'packaging/install.sh'), join(archive, 'install.sh'))
    chmodSync(join(archive, 'install.sh'), 0o755)
  })
  after(() => rmSync(base, { recursive: true, force: true }))
  const install = (...args: readonly string[]) => run(join(archive, 'install.sh'), args)

  it('says what it does not understand, and changes nothing', async () => {
    assert.equal((await install('--nonsense')).code, 2)
    assert.equal((await install('--prefix', 'relative')).code, 2)
    assert.match((await install('--help')).stdout, /--prefix DIRECTORY/)
    assert.ok(!existsSync(join(base, 'opt')))
  })

  it('touches no program of somebody else’s', async () => {
    mkdirSync(join(prefix, 'bin'), { recursive: true })
    writeFileSync(quaver, 'theirs')
    const { code, stderr } = await install('--prefix', prefix)
    assert.equal(code, 1)
    assert.match(stderr, /bin\/quaver is somebody else's: nothing was changed/)
    assert.ok(!existsSync(join(prefix, 'lib/quaver')))
    rmSync(join(base, 'opt'), { recursive: true })
  })

  it('puts everything below the prefix, and again in its own place', async () => {
    for (const _ of ['first', 'again']) {
      const { code, stdout, stderr } = await install('--prefix', prefix)
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(stdout, /Next: .*quaver setup you@example\.org/)
    }
    assert.deepEqual(readdirSync(join(prefix, 'lib')), ['quaver'])
    assert.ok(lstatSync(join(prefix, 'bin/qmail-inject')).isSymbolicLink())
    const shown = await run(quaver, ['services', 'show', 'runit', '--home', '/var/lib/quaver'])
    assert.match(shown.stdout, new RegExp(`exec ${prefix}/lib/quaver/bin/quaver start`))
  })

  it('is told of a file that is not what the archive brought', async () => {
    const path = join(prefix, 'share/doc/quaver/LICENSE')
    copyFileSync(join(archive, 'share/doc/quaver/README.md'), path)
    const { code, stdout } = await run(quaver, ['check', '--home', join(base, 'none')])
    assert.deepEqual([code, stdout], [1, `${path} is not what the package brought: install the package again\n`])
    copyFileSync(join(archive, 'share/doc/quaver/LICENSE'), path)
  })

  it('goes without a trace', { skip: withoutRoot() }, async () => {
    const gone = await run(quaver, ['uninstall', '--programs', '--yes', '--home', join(base, 'none')])
    assert.deepEqual([gone.code, gone.stderr], [0, ''])
    assert.match(gone.stdout, /nothing is left/)
    assert.deepEqual(readdirSync(base), ['archive'])
  })
})
