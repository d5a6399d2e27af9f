import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { TlsHosts } from './tls-hosts.ts'

describe('TlsHosts', () => {
  let directory: string
  let now: number
  let problems: string[]
  let hosts: TlsHosts
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-tls-'))
    now = 0
    problems = []
    const clock = { now: () => now, monotonic: () => now, after: () => () => undefined }
    hosts = new TlsHosts(directory, clock, (problem) => problems.push(problem))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('without files demands and forbids nothing', () => {
    assert.deepEqual(hosts.of('a.test'), {
      hostCaPem: undefined,
      exhaustive: false,
      forbidden: false,
      clientPem: undefined,
    })
    assert.deepEqual(problems, [])
  })
  it('finds each kind of file, after a second at the latest', () => {
    hosts.of('a.test')
    mkdirSync(join(directory, 'tlshosts'))
    mkdirSync(join(directory, 'notlshosts'))
    writeFileSync(join(directory, 'tlshosts', 'a.test.pem'), 'CA of a')
    writeFileSync(join(directory, 'tlshosts', 'exhaustivelist'), '')
    writeFileSync(join(directory, 'notlshosts', 'b.test'), '')
    writeFileSync(join(directory, 'clientcert.pem'), 'ours')
    now = 1001
    assert.deepEqual(hosts.of('a.test'), {
      hostCaPem: 'CA of a',
      exhaustive: false,
      forbidden: false,
      clientPem: 'ours',
    })
    assert.deepEqual(hosts.of('b.test'), { hostCaPem: undefined, exhaustive: true, forbidden: true, clientPem: 'ours' })
    writeFileSync(join(directory, 'tlshosts', 'a.test.pem'), 'another CA')
    now = 2002
    assert.equal(hosts.of('a.test').hostCaPem, 'another CA')
  })
  it('a file that cannot be read still demands, and is reported once', () => {
    mkdirSync(join(directory, 'tlshosts', 'a.test.pem'), { recursive: true })
    assert.equal(hosts.of('a.test').hostCaPem, '')
    assert.equal(hosts.of('a.test').hostCaPem, '')
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', /^control\/tlshosts\/a\.test\.pem: /)
  })
})
