/** The manual says what the tables say, and mandoc finds nothing wrong with it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { manualPage } from '../../packaging/manual.ts'
import { controlFiles } from '../../src/stores/control/table.ts'
import { qmailPrograms } from '../../src/stores/installation/qmail-programs.ts'
import { without } from '../kit/tool.ts'

const pages = ['quaver.8', 'quaver-control.5', 'quaver-programs.7'] as const

describe('the manual', () => {
  it('has every command, file and program', () => {
    const commands = manualPage('quaver.8', 0)
    for (const name of ['start', 'adopt', 'queue export', 'queue why', 'control check', 'account add', 'rules compile'])
      assert.ok(commands.includes(`\n.Ss ${name}\n`), name)
    assert.match(commands, /\n\.Ss adopt\n\.Ic adopt\n(?:\.Op Fl .*\n)+\.Ar directory\n\.Pp\nTake over/)
    assert.match(commands, /^\.Dd January 1, 1970\n\.Dt QUAVER 8\n/)
    const files = manualPage('quaver-control.5', 0)
    for (const name of Object.keys(controlFiles)) assert.ok(files.includes(`\n.It Pa control/${name}\n`), name)
    const programs = manualPage('quaver-programs.7', 0)
    for (const name of qmailPrograms) assert.ok(programs.includes(`\n.It Nm ${name}\n`), name)
  })

  it('is sound mdoc', { skip: without('mandoc') }, () => {
    for (const page of pages) {
      const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
        input: manualPage(page, 1e9),
        encoding: 'utf8',
      })
      assert.equal(stdout, '', page)
    }
  })
})
