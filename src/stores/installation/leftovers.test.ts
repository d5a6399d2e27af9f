import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { homeAt } from '../home/layout.ts'
import { removeLeftovers } from './leftovers.ts'

it('what a process that is gone left half-made goes, and nothing else', async () => {
  const base = mkdtempSync(join(tmpdir(), 'quaver-left-'))
  const gone = spawnSync('true').pid
  const home = homeAt(join(base, 'home'))
  mkdirSync(home.control, { recursive: true })
  for (const name of ['me', `.me.${gone}.new`, `.me.${process.pid}.new`, '.hidden', 'me.1.new'])
    writeFileSync(join(home.control, name), '')
  for (const name of [`.quaver-probe.${gone}.new`, `.quaver-probe.renamed.${gone}.new`, `.theirs.${gone}.new`])
    writeFileSync(join(base, name), '')
  await removeLeftovers(home)
  assert.deepEqual(readdirSync(home.control).toSorted(), ['.hidden', `.me.${process.pid}.new`, 'me', 'me.1.new'])
  assert.deepEqual(readdirSync(base).toSorted(), [`.theirs.${gone}.new`, 'home'])
  rmSync(base, { recursive: true })
})
