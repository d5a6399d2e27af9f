import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { withoutOtherAccounts } from '#test/kit/tool.ts'

const files = ['compile-cache.mjs', 'compile-only.mjs', 'node-flags.ts', 'shared-compile-cache.ts']
const stranger = 54_321

describe('what root compiled', { skip: withoutOtherAccounts() }, () => {
  const clone = mkdtempSync(join(tmpdir(), 'quaver-clone-'))
  const program = join(clone, 'program.ts')
  const ran = join(clone, 'ran')
  const cache = join(clone, 'node_modules/.cache/quaver')
  after(() => rmSync(clone, { recursive: true, force: true }))
  before(() => {
    chmodSync(clone, 0o755)
    for (const path of ['src/system', 'node_modules']) mkdirSync(join(clone, path), { recursive: true })
    for (const name of files) copyFileSync(join(import.meta.dirname, name), join(clone, 'src/system', name))
    writeFileSync(join(clone, 'part.ts'), 'export const word: string = "well"\n')
    const text = `import { writeFileSync } from 'node:fs'\nimport { word } from './part.ts'\n`
    writeFileSync(program, `${text}if (process.getuid() === 0) writeFileSync(${JSON.stringify(ran)}, word)\n`)
    const start = `import { compileForOthers, shareCompiled } from ${JSON.stringify(join(clone, 'src/system/shared-compile-cache.ts'))}
      await compileForOthers([${JSON.stringify(program)}])
      for (const uid of [0, ${stranger}]) shareCompiled(uid)`
    const { stderr } = node(0, '--input-type=module', '-e', start)
    assert.equal(stderr, '')
  })

  function node(uid: number, ...args: readonly string[]): { readonly stderr: string } {
    const flags = ['--disable-warning=ExperimentalWarning', `--require=${join(clone, 'src/system/compile-cache.mjs')}`]
    const env = uid === 0 ? {} : { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
    return spawnSync(process.execPath, [...flags, ...args], { uid, gid: uid, cwd: '/', env, encoding: 'utf8' })
  }

  it('was compiled without being run', () => {
    assert.ok(!existsSync(ran))
  })

  it('is read by a process of another account', () => {
    const { stderr } = node(stranger, program)
    for (const name of ['program.ts', 'part.ts'])
      assert.match(stderr, new RegExp(`/${name} was accepted, keeping the in-memory entry`), stderr)
  })

  it('is root’s alone to write', () => {
    for (const name of ['', ...globSync('{*,*/*}', { cwd: cache })]) {
      const { uid, mode } = statSync(join(cache, name))
      assert.deepEqual([uid, mode & 0o022], [0, 0], name)
    }
  })
})
