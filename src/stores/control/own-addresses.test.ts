import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { Control } from './control.ts'
import { OwnAddresses } from './own-addresses.ts'

test('which addresses lead to us: interfaces, control/moreipme, not control/notipme', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-control-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'moreipme'), '203.0.113.5\n198.51.100.0/28\n2001:db8::5\nnonsense\n')
  writeFileSync(join(directory, 'notipme'), '10.0.0.2\n')
  const problems: string[] = []
  const own = new OwnAddresses(
    new Control(directory, realClock),
    () => new Set(['10.0.0.1', '10.0.0.2', 'fe80::1']),
    (problem) => problems.push(problem),
  )
  for (const ours of [
    '10.0.0.1',
    '0.0.0.0',
    '::',
    '203.0.113.5',
    '198.51.100.9',
    '2001:db8:0:0:0:0:0:5',
    '::ffff:10.0.0.1',
  ])
    assert.equal(own.has(ours), true, ours)
  for (const other of ['10.0.0.2', '10.0.0.3', '198.51.100.16', 'no address'])
    assert.equal(own.has(other), false, other)
  assert.equal(problems.length, 1)
})
