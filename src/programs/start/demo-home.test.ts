import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { homeAt } from '../../stores/home/layout.ts'
import { HomeError } from '../../stores/home/make.ts'
import { makeDemoHome } from './demo-home.ts'

describe('the home of a demo', () => {
  it('is not made among somebody’s files, nor in a file', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-demo-home-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    writeFileSync(join(directory, '.profile'), 'mine\n')
    mkdirSync(join(directory, 'mail'))
    await assert.rejects(makeDemoHome(homeAt(directory)), /is not empty \(\.profile\).*choose a directory/)
    assert.deepEqual(readdirSync(directory), ['.profile', 'mail'])
    const file = join(directory, '.profile')
    await assert.rejects(
      makeDemoHome(homeAt(file)),
      (error) => error instanceof HomeError && /\.profile cannot be a home: ENOTDIR/.test(error.message),
    )
  })
})
