import assert from 'node:assert/strict'
import { it } from 'node:test'
import { namesHome, programs } from './names.ts'

it('programs that are given words from outside take no --home', () => {
  for (const name of [
    'forward',
    'condredirect',
    'sendmail',
    'mailq',
    'qmail-inject',
    'bouncesaying',
    'except',
    'preline',
  ])
    assert.ok(programs.has(name) && !namesHome.has(name), name)
  for (const name of namesHome) assert.ok(programs.has(name), name)
})

it('every name has its program', async () => {
  for (const [name, load] of programs) assert.equal(typeof (await load()), 'function', name)
})
