import assert from 'node:assert/strict'
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { realFiles } from '../../system/files.ts'
import { homeAt } from '../home/layout.ts'
import { KeptPolicies } from './kept-policies.ts'

test('policies are kept by domain; what is no policy is none', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'quaver-mta-sts-'))
  t.after(() => rm(path, { recursive: true }))
  const home = homeAt(path)
  await mkdir(home.mtaSts)
  const kept = new KeptPolicies(realFiles, home)
  const policy = { id: '1', fetchedAt: 2, usedAt: 3, text: 'version: STSv1\r\nmode: none\r\n\xe9' }
  await kept.write('a.example', policy)
  assert.deepEqual(await kept.read('a.example'), policy)
  assert.equal(await kept.read('b.example'), undefined)
  for (const rubbish of ['', '{', 'null', '{"id":1}', '{"id":"1","text":"x","fetchedAt":"2"}']) {
    await writeFile(join(home.mtaSts, 'c.example'), rubbish)
    assert.equal(await kept.read('c.example'), undefined)
  }
  const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`
  await kept.write(long, policy)
  assert.deepEqual((await kept.domains()).sort(), ['a.example', 'c.example'])
  await kept.remove('c.example')
  assert.deepEqual(await kept.domains(), ['a.example'])
})
