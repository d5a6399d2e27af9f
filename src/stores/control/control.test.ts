import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
      rewrite: '# hosts\n=a:b\nbogus\n',
      smtproutes: 'a.test:relay.test\n:other.test\nb.test relay.test\n',
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
    assert.deepEqual(new Control(directory, realClock).lineFaults().toSorted(), [
      'control/dnsbls: line 4 is not: zone, -zone, +zone, ?zone or zone=N',
      'control/dnsbls: line 6 is not: zone, -zone, +zone, ?zone or zone=N',
      'control/fixsmtpio: line 2 is not: env:event:request-prepend:response-line-glob:exitcode:response',
      'control/oauthissuers: line 2 is not: https URL, audience, claim',
      'control/rewrite: line 3 is not: =post:new, *post:new, ?post:new or -post:new',
      'control/smtproutes: line 3 has no colon',
    ])
  })
  it('one that is there and cannot be read is not absent, until it is mended, by chmod too', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-control-'))
    t.after(() => rmSync(directory, { recursive: true }))
    let monotonic = 0
    const clock = { ...realClock, now: () => Date.now() + 10_000, monotonic: () => (monotonic += 2000) }
    writeFileSync(join(directory, 'badmailfrom'), '@bad.test\0\n')
    const control = new Control(directory, clock)
    assert.deepEqual(control.unread('smtpd'), ['control/badmailfrom: line 1 has a NUL byte; nothing is known of it'])
    const secret = 'smarthostsecrets'
    writeFileSync(join(directory, secret), 'relay.test user password\n', { mode: 0o644 })
    control.refresh()
    assert.match(control.unread('remote').join(), /readable by others; chmod 600 it; nothing is known of it$/)
    assert.throws(
      () =>
        control.demandFor('remote', (text) => {
          throw new Error(text)
        }),
      /^Error: unable to read controls: control\/\S+: readable by others/,
    )
    control.demandFor('queue', (text) => assert.fail(text))
    chmodSync(join(directory, secret), 0o600)
    writeFileSync(join(directory, 'badmailfrom'), '@bad.test\n')
    control.refresh()
    assert.deepEqual([control.unread('smtpd'), control.unread('remote')], [[], []])
    assert.deepEqual(control.list('badmailfrom'), ['@bad.test'])
    // What was read once stays in force.
    writeFileSync(join(directory, 'badmailfrom'), '\0')
    control.refresh()
    assert.deepEqual(control.unread('smtpd'), [])
    assert.deepEqual(control.list('badmailfrom'), ['@bad.test'])
    assert.match(control.problems().join(), /badmailfrom: line 1 has a NUL byte; the value before stays in force/)
  })
})
