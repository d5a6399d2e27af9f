import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parseDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import { realFiles } from '../../system/files.ts'
import { makeHostAliases, missingHostAliases } from './host-aliases.ts'
import { homeAt } from './layout.ts'

function homeFor(t: TestContext) {
  const home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-aliases-')))
  t.after(() => rmSync(home.path, { recursive: true, force: true }))
  mkdirSync(home.alias)
  return home
}

describe('addresses that every host has', () => {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

  it('get a file each, and their mail a Maildir; what is there stays', async (t) => {
    const home = homeFor(t)
    writeFileSync(join(home.alias, '.qmail-root'), '&joe\n')
    assert.deepEqual(await makeHostAliases(realFiles, home, owner), ['postmaster', 'mailer-daemon', 'dmarc-reports'])
    assert.equal(readFileSync(join(home.alias, '.qmail-root'), 'utf8'), '&joe\n')
    const text = readFileSync(join(home.alias, '.qmail-postmaster'), 'latin1')
    assert.deepEqual(parseDotQmail(text, false), [{ kind: 'maildir', path: './Maildir/' }])
    const reports = readFileSync(join(home.alias, '.qmail-dmarc-reports'), 'latin1')
    assert.deepEqual(parseDotQmail(reports, false), [
      { kind: 'program', command: `quaver dmarc take --home '${home.path}'` },
      { kind: 'maildir', path: './Maildir/' },
    ])
    for (const name of ['tmp', 'new', 'cur']) assert.ok(statSync(join(home.alias, 'Maildir', name)).isDirectory())
    assert.deepEqual(await missingHostAliases(realFiles, home), [])
    assert.deepEqual(await makeHostAliases(realFiles, home, owner), [])
  })

  it('need none where alias/.qmail-default takes all', async (t) => {
    const home = homeFor(t)
    writeFileSync(join(home.alias, '.qmail-default'), '&joe\n')
    assert.deepEqual(await makeHostAliases(realFiles, home, owner), [])
    assert.equal(existsSync(join(home.alias, 'Maildir')), false)
  })
})
