import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'
import { nodeFlags } from './node-flags.ts'
import { withoutRoot } from '#test/kit/tool.ts'

const launcher = join(import.meta.dirname, '../../bin/quaver')
const inClone = 'src/system/compile-cache.mjs'
const place = 'node_modules/.cache/quaver'

describe('what Node compiled', () => {
  const clone = mkdtempSync(join(tmpdir(), 'quaver-clone-'))
  const program = join(clone, 'program.ts')
  after(() => rmSync(clone, { recursive: true, force: true }))
  beforeEach(() => {
    rmSync(join(clone, 'node_modules'), { recursive: true, force: true })
    mkdirSync(join(clone, 'node_modules'))
    mkdirSync(join(clone, 'src/system'), { recursive: true })
    copyFileSync(join(import.meta.dirname, 'compile-cache.mjs'), join(clone, inClone))
    writeProgram('first')
  })

  function writeProgram(word: string): void {
    const seen = `process.env['NODE_COMPILE_CACHE'], process.umask().toString(8)`
    const text = `import { getCompileCacheDir } from 'node:module'\nconst word: string = '${word}'\n`
    writeFileSync(program, `${text}process.stdout.write([word, getCompileCacheDir(), ${seen}].join())`)
  }

  /** What the program says: its word, where its cache is, an environment variable, its umask. */
  function run(umask = '022'): string[] {
    const args = [
      '-c',
      `umask ${umask}; exec "$@"`,
      'sh',
      process.execPath,
      `--require=${join(clone, inClone)}`,
      program,
    ]
    const { stdout, stderr, status } = spawnSync('/bin/sh', args, { encoding: 'utf8', env: {} })
    assert.deepEqual([stderr, status], ['', 0])
    return stdout.split(',')
  }

  it('is kept in the clone, where only its owner may write, whatever the umask', () => {
    const [word, directory = '', ...rest] = run('0')
    assert.deepEqual([word, dirname(directory), ...rest], ['first', join(clone, place), '', '0'])
    const made = ['', '/..'].map((above) => statSync(join(clone, place, above)))
    for (const { mode, uid } of made) assert.deepEqual([mode & 0o777, uid], [0o755, process.getuid?.()])
    const kept = globSync('*/*', { cwd: join(clone, place), withFileTypes: true })
    assert.ok(kept.length > 0)
    for (const { parentPath, name } of kept) {
      assert.equal(statSync(parentPath).mode & 0o022, 0)
      assert.equal(statSync(join(parentPath, name)).mode & 0o022, 0)
    }
  })

  it('is not asked when the source has changed', () => {
    run()
    writeProgram('second')
    assert.equal(run()[0], 'second')
  })

  it('is not believed where others may write', () => {
    run()
    chmodSync(join(clone, place), 0o775)
    assert.deepEqual(run(), ['first', '', '', '22'])
  })

  it('is not kept in a clone of somebody else', { skip: withoutRoot() }, () => {
    chownSync(join(clone, 'node_modules'), 65_534, 65_534)
    assert.deepEqual(run(), ['first', '', '', '22'])
  })

  it('is done without where there is no place', () => {
    rmSync(join(clone, 'node_modules'), { recursive: true })
    assert.deepEqual(run(), ['first', '', '', '22'])
    writeFileSync(join(clone, 'node_modules'), 'not a directory')
    assert.deepEqual(run(), ['first', '', '', '22'])
  })
})

describe('bin/quaver', () => {
  it('starts Node as every other program is started', () => {
    const text = readFileSync(launcher, 'utf8')
    const kept = /^ *keep=(\$root.*)$/m.exec(text)?.[1] ?? ''
    const command = text.trimEnd().split('\n').at(-1)?.replace('${keep:+"--require=$keep"}', `--require=${kept}`)
    const flags = nodeFlags.map((flag) => flag.replace(join(import.meta.dirname, '../..'), '$root'))
    assert.equal(command, `exec "$node" ${flags.join(' ')} "$main" "$@"`)
  })

  it('passes on nothing that the environment says to Node', () => {
    const env = {
      ...process.env,
      NODE_OPTIONS: '--inspect=127.0.0.1:0',
      NODE_DEBUG: 'module',
      NODE_COMPILE_CACHE: '/nowhere',
    }
    const { stdout, stderr, status } = spawnSync(launcher, ['--version'], { encoding: 'utf8', env })
    assert.deepEqual([stdout.trim() !== '', stderr, status], [true, '', 0])
  })
})
