import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Control } from '../../stores/control/control.ts'
import { TlsHosts } from '../../stores/control/tls-hosts.ts'
import { realClock } from '../../system/clock.ts'
import { readSettings, type Settings } from './settings.ts'

describe('readSettings', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-control-'))
    writeFileSync(join(directory, 'me'), 'mail.test\r\n')
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  function settings(): Settings {
    const tlsHosts = new TlsHosts(directory, realClock, () => undefined)
    return readSettings(new Control(directory, realClock), tlsHosts)
  }

  it('without files: no routes, qmail’s times, our name without the CR of a file from elsewhere', () => {
    const { tlsFacts, unwantedExtensions, heedsPolicies, ...plain } = settings()
    assert.deepEqual(plain, {
      helo: 'mail.test',
      unreadable: false,
      smtproutes: undefined,
      senderroutes: undefined,
      secrets: [],
      connectMilliseconds: 60_000,
      replyMilliseconds: 1_200_000,
      ownNames: new Set(['mail.test']),
      attemptsPerHost: 20,
      attemptsPerRelay: 100,
    })
    assert.deepEqual(unwantedExtensions('mx.test', '192.0.2.1'), new Set())
    assert.equal(tlsFacts('a.test').forbidden, false)
    assert.equal(heedsPolicies('a.test'), true)
  })
  it('notlspolicies: domains, and those below one, whose policies are not looked at', () => {
    writeFileSync(join(directory, 'notlspolicies'), 'Broken.test\n.below.test\n')
    const { heedsPolicies } = settings()
    const heeded = ['broken.TEST', 'x.broken.test', 'a.Below.test', 'below.test'].map(heedsPolicies)
    assert.deepEqual(heeded, [false, true, false, true])
  })
  it('secrets that others may read are refused, and mail waits rather than go without them', () => {
    writeFileSync(join(directory, 'smarthostsecrets'), 'relay.test user password\n', { mode: 0o644 })
    assert.equal(settings().unreadable, true)
    assert.deepEqual(settings().secrets, [])
  })
  it('secrets for our eyes only are taken', () => {
    writeFileSync(join(directory, 'smarthostsecrets'), 'relay.test user password\n', { mode: 0o600 })
    assert.equal(settings().unreadable, false)
    assert.deepEqual(settings().secrets, ['relay.test user password'])
  })
})
