/** A demo whose screen is gone, and whose log cannot be kept, runs on: mail does not depend on either. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { askAdmin, launcher, type ProgramStatus, run, until } from '../kit/instance.ts'

it('start --demo | head, with a directory in the place of the log', async (test) => {
  const home = mkdtempSync(join(tmpdir(), 'quaver-unwritable-'))
  test.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }))
  mkdirSync(join(home, 'log/quaver.log'), { recursive: true })
  const args = ['start', '--demo', '--home', home, '--smtp-port', '0', '--services', 'smtp']
  const child = spawn(launcher, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(child, 'exit')
  const [first] = (await once(child.stdout, 'data')) as [Buffer]
  assert.match(first.toString('utf8'), /Quaver demo/)
  child.stdout.destroy()
  await until('all programs', 60_000, async () => {
    assert.equal(child.exitCode, null)
    const rows = await askAdmin(join(home, 'run/start.sock'), { op: 'status' }).catch(() => [])
    const programs = rows.slice(1) as ProgramStatus[]
    return (programs.length > 0 && programs.every(({ state }) => state === 'running')) || undefined
  })
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})

it('a start that the system refuses says what, where and what to do, and no more', async (test) => {
  const home = mkdtempSync(join(tmpdir(), 'quaver-refused-'))
  test.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }))
  const lock = join(home, 'run/lock')
  mkdirSync(lock, { recursive: true })
  const { code, stderr } = await run(launcher, ['start', '--demo', '--home', home, '--smtp-port', '0'])
  assert.equal(code, 111)
  const [said = '', remedy = '', ...more] = stderr.trimEnd().split('\n')
  assert.equal(said, `quaver start: EISDIR: illegal operation on a directory, open '${lock}'`)
  assert.match(remedy, /^quaver start: a file cannot be read .*To do: see owner and mode/)
  assert.deepEqual(more, [])
})
