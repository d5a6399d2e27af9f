import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { nodeFlags } from '../../src/system/node-flags.ts'

const script = join(import.meta.dirname, '../run.ts')

describe('npm test', () => {
  function run(...args: readonly string[]) {
    // Otherwise it takes itself for a file of the run that this is a part of.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, script, ...args], {
      encoding: 'utf8',
      env,
    })
    return { status, stdout, stderr }
  }

  it('knows which files have a word, or import what has it', () => {
    const { status, stdout } = run('--list', 'servers/listener/limits')
    const files = stdout.trim().split('\n')
    assert.equal(status, 0)
    assert.ok(files.includes('src/programs/smtpd/listener.test.ts'), 'imports it by way of others')
    assert.ok(!files.includes('src/protocols/qmail/schedule.test.ts'))
  })

  it('ends with the counts, and with the time of each file, slowest first', () => {
    const { status, stdout } = run('--times', 'base/fresh-map.test', 'kit/kit.test')
    assert.equal(status, 0, stdout)
    assert.match(stdout, /^ℹ tests \d+$/m)
    assert.match(stdout, /^ℹ fail 0$/m)
    const times = [...stdout.matchAll(/^ +(\d+\.\d) s {2}(\S+)$/gm)].map(([, seconds, file]) => ({ seconds, file }))
    const files = new Set(times.map(({ file }) => file))
    assert.deepEqual(files, new Set(['src/base/fresh-map.test.ts', 'test/kit/kit.test.ts']))
    assert.ok(Number(times[0]?.seconds) >= Number(times[1]?.seconds), stdout)
  })

  it('says what it does not understand, and where no file has the word', () => {
    for (const args of [['--nonsense'], ['--jobs', '0'], ['no-file-has-this-word']]) {
      const { status, stdout, stderr } = run(...args)
      assert.deepEqual([status, stdout], [2, ''])
      assert.match(stderr, /^npm test: /)
    }
  })
})
