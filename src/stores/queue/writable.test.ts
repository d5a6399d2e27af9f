import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { withoutRoot } from '#test/kit/tool.ts'
import { troubleIn } from '../../contracts/troubles.ts'
import { demandWritable } from './writable.ts'

describe('the queue’s files', { skip: withoutRoot(), concurrency: false }, () => {
  let directory = ''
  let path = ''
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-writable-'))
    path = join(directory, 'queue/queue.db')
    mkdirSync(join(directory, 'queue'))
    writeFileSync(path, '')
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  it('may be written', () => demandWritable(path))

  it('of another owner: who that is, and what to type', () => {
    chmodSync(directory, 0o755)
    chmodSync(path, 0o600)
    const program = `import(process.argv[1]).then(({ demandWritable }) => demandWritable(process.argv[2])).catch((error) => console.log(error.message))`
    const file = join(import.meta.dirname, 'writable.ts')
    const said = execFileSync(process.execPath, ['-e', program, file, path], { uid: 65_534, encoding: 'utf8' })
    assert.match(said, /EACCES.*belongs to uid 0.*runs as uid 65534: chown 65534 /)
  })

  it('on a read-only file system are not taken for damaged', (test) => {
    const mounted = join(directory, 'mounted')
    mkdirSync(mounted)
    try {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mounted], { stdio: 'ignore' })
    } catch {
      return test.skip('this machine mounts nothing')
    }
    test.after(() => execFileSync('umount', [mounted]))
    writeFileSync(join(mounted, 'queue.db'), '')
    execFileSync('mount', ['-o', 'remount,ro', mounted])
    assert.throws(
      () => demandWritable(join(mounted, 'queue.db')),
      (error: Error) => troubleIn(error.message)?.kind === 'read-only',
    )
    assert.deepEqual(readdirSync(mounted), ['queue.db'])
  })
})
