import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { Control } from './control.ts'

describe('control files', () => {
  it('a value that is none never comes into force, and the last good one stays', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-control-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const write = (name: string, text: string): void => writeFileSync(join(directory, name), text)
    for (const [name, text] of Object.entries({
      databytes: '50M\r\n',
      timeoutsmtpd: '5 minutes\n',
      queuelifetime: '1w',
      concurrencyremote: '1e6\n',
      timeoutremote: '0\n',
      helohost: ' \n',
      me: '\xef\xbb\xbfmail.a.test\r\n',
      doublebounceto: '\n',
    }))
      writeFileSync(join(directory, name), text, 'latin1')
    const control = new Control(directory, realClock)
    assert.equal(control.number('databytes'), 50 * 1024 * 1024)
    assert.equal(control.number('timeoutsmtpd'), 300)
    assert.equal(control.number('queuelifetime'), 604_800)
    assert.equal(control.number('concurrencyremote'), 200)
    assert.equal(control.number('timeoutremote'), 1200)
    assert.equal(control.line('helohost'), 'mail.a.test')
    assert.equal(control.line('doublebounceto'), '')
    assert.deepEqual(control.problems().toSorted(), [
      'control/concurrencyremote: line 1 is not a whole number; the value before stays in force',
      'control/helohost: is empty; the value before stays in force',
      'control/timeoutremote: line 1 is less than 1; the value before stays in force',
    ])
    write('databytes', '60 apples\n')
    control.reload(['databytes'])
    assert.equal(control.number('databytes'), 50 * 1024 * 1024)
  })
  it('of two lines about one name the last counts, and both are told; rights add up', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-control-'))
    t.after(() => rmSync(directory, { recursive: true }))
    writeFileSync(join(directory, 'virtualdomains'), 'A.test:one\nb.test:two\na.test:three\nb.test:two\n')
    writeFileSync(join(directory, 'senders'), 'joe@a.test:x@b.test\nJoe@a.test:@c.test\n')
    const control = new Control(directory, realClock)
    assert.equal(control.map('virtualdomains')?.get('a.test'), 'three')
    assert.equal(control.map('senders')?.get('joe@a.test'), 'x@b.test,@c.test')
    assert.deepEqual(control.problems(), [
      "control/virtualdomains: lines 1 and 3 are both about 'a.test'; line 3 counts",
    ])
  })
  it('a secret that another account reads is no problem to tell of', {
    skip: process.getuid?.() === 0 && 'root reads everything',
  }, (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-control-'))
    t.after(() => rmSync(directory, { recursive: true }))
    for (const name of ['smarthostsecrets', 'badmailfrom']) writeFileSync(join(directory, name), 'x\n', { mode: 0 })
    const told: string[] = []
    const control = new Control(directory, realClock, (problem) => told.push(problem))
    assert.deepEqual(
      told.map((problem) => problem.split(':')[0]),
      ['control/badmailfrom'],
    )
    assert.equal(control.unread('remote').length, 1)
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
    // What a chmod took away is told, and stays in force.
    chmodSync(join(directory, secret), 0o644)
    control.refresh()
    assert.match(control.problems().join(), /readable by others; chmod 600 it; the value before stays in force/)
    assert.deepEqual(control.list(secret), ['relay.test user password'])
    // What was read once stays in force.
    writeFileSync(join(directory, 'badmailfrom'), 'a\nb\0')
    control.refresh()
    assert.deepEqual(control.unread('smtpd'), [])
    assert.deepEqual(control.list('badmailfrom'), ['@bad.test'])
    assert.match(control.problems().join(), /badmailfrom: line 2 has a NUL byte; the value before stays in force/)
  })
})
