import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fromText } from '../../base/byte-string.ts'
import type { Failure } from '../../base/outcome.ts'
import { troubleIn } from '../../contracts/troubles.ts'
import { searchDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { checkHome, isFailure, readDotQmail } from './home-files.ts'

const home = mkdtempSync(join(tmpdir(), 'quaver-é-home-'))
after(() => rmSync(home, { recursive: true, force: true }))

function dotQmail(): Failure {
  const found = readDotQmail(quickFiles, fromText(home), searchDotQmail('', ''))
  assert.ok(found !== undefined && isFailure(found))
  return found
}

describe('a delivery that a home or a .qmail file keeps waiting', () => {
  const path = join(home, '.qmail')

  it('tells the administrator which file cannot be read', () => {
    symlinkSync('.qmail', path)
    const { peerText, logText } = dotQmail()
    rmSync(path)
    assert.equal(peerText, 'Unable to open .qmail: symbolic link loop. (#4.3.0)\n')
    const { kind, where } = troubleIn(logText) ?? assert.fail(logText)
    assert.deepEqual([kind, where], ['unreadable', path])
  })

  it('and which may be written by others', () => {
    writeFileSync(path, './Maildir/\n')
    chmodSync(path, 0o666)
    assert.equal(dotQmail().logText, `${path} has mode 666: chmod o-w,-t ${path}`)
    rmSync(path)
    chmodSync(home, 0o1755)
    const sticky = checkHome(quickFiles, fromText(home))
    chmodSync(home, 0o755)
    assert.equal(sticky?.logText, `${home} has mode 1755: chmod o-w,-t ${home}`)
    assert.match(sticky.peerText, /^Home directory is sticky/)
  })

  it('and which is not there', () => {
    const gone = join(home, 'é')
    const { kind, where } = troubleIn(checkHome(quickFiles, fromText(gone))?.logText ?? '') ?? assert.fail()
    assert.deepEqual([kind, where], ['missing', gone])
    mkdirSync(gone)
    assert.equal(checkHome(quickFiles, fromText(gone)), undefined)
  })
})
