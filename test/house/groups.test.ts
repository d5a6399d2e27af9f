import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { nodeFlags } from '../../src/system/node-flags.ts'
import { grouped } from '../groups.ts'

describe('test files that share a process', () => {
  const root = mkdtempSync(join(tmpdir(), 'quaver-groups-'))
  after(() => rmSync(root, { recursive: true, force: true }))
  mkdirSync(join(root, 'src/stores'), { recursive: true })

  function file(name: string, text: string): string {
    const path = `src/stores/${name}.test.ts`
    writeFileSync(join(root, path), `import { after, it } from 'node:test'\n${text}\n`)
    return path
  }
  const good = file('good', `it('passes', () => {})`)
  const other = file('other', `it('passes too', () => {})`)

  /** As the runner runs a file: its tests are told in the way of a child. */
  function run(...files: readonly string[]): { readonly status: number | null; readonly stdout: string } {
    const [group, ...rest] = grouped(files, root, root)
    assert.ok(group?.members !== undefined && rest.length === 0)
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    return spawnSync(process.execPath, [...nodeFlags, '--test', group.path], { encoding: 'utf8', env })
  }

  it('are counted one by one', () => {
    const { status, stdout } = run(good, other)
    assert.equal(status, 0, stdout)
    assert.match(stdout, /ℹ pass 2$/m)
  })

  it('fail together when one of them ends the process, in whatever way', () => {
    for (const [name, end] of [
      ['exits', 'process.exit(0)'],
      ['is-killed', `process.kill(process.pid, 'SIGKILL')`],
      ['throws', `setImmediate(() => { throw new Error('bug') })`],
    ] as const) {
      const inTest = file(`${name}-in-a-test`, `it('ends', () => { ${end} })`)
      const atImport = file(`${name}-at-import`, end)
      for (const bad of [inTest, atImport]) {
        const { status, stdout } = run(good, bad, other)
        assert.equal(status, 1, `${bad}: ${stdout}`)
        assert.match(stdout, /ℹ fail [1-9]/, bad)
      }
    }
  })

  it('are none that set up the whole process', () => {
    const withHook = file('hook', `after(() => {})\nit('passes', () => {})`)
    const outside = 'test/house/groups.test.ts'
    mkdirSync(join(root, 'test/house'), { recursive: true })
    writeFileSync(join(root, outside), '')
    assert.deepEqual(
      grouped([good, withHook, other, outside], root, root).map(({ members }) => members?.length),
      [2, undefined, undefined],
    )
  })
})
