/** A demo whose screen is gone, and whose log cannot be kept, runs on: mail does not depend on either. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { askAdmin, launcher, type ProgramStatus, until } from '../kit/instance.ts'

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
