import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { Control } from './control.ts'

describe('control files', () => {
  it('lines that mean nothing are named, with what they should be', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-control-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const files = {
      dnsbls: '# ours\nzen.spamhaus.org\n\nlist one\n?marks.test\nscores.test=x\n',
      fixsmtpio: ':greeting::*:0:250 hello\nno rule\n',
      oauthissuers: 'https://id.test quaver email\nhttp://id.test quaver email\n',
      smtproutes: 'a.test:relay.test\n:other.test\nb.test relay.test\n',
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
    assert.deepEqual(new Control(directory, realClock).lineFaults(), [
      'control/dnsbls: line 4 is not: zone, -zone, +zone, ?zone or zone=N',
      'control/dnsbls: line 6 is not: zone, -zone, +zone, ?zone or zone=N',
      'control/oauthissuers: line 2 is not: https URL, audience, claim',
      'control/fixsmtpio: line 2 is not: env:event:request-prepend:response-line-glob:exitcode:response',
      'control/smtproutes: line 3 has no colon',
    ])
  })
})
