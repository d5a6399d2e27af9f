import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Home, homeAt } from '../../../stores/home/layout.ts'
import { keyPath } from '../../../stores/signing-keys/signing-keys.ts'
import { ZoneDns } from '#test/kit/zone-dns.ts'
import { makeFirstKeys, shownKeys } from '../dkim.ts'
import { signingKeyFindings } from './signing-keys.ts'

const day = 86_400_000

describe('keys that sign, looked at by the doctor', () => {
  let home: Home
  beforeEach(async () => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-keys-')))
    mkdirSync(home.control)
    // All of it is the caller's, root or not.
    writeFileSync(join(home.path, 'demo-password'), '')
    await makeFirstKeys(home, 'example.org')
  })
  afterEach(() => rmSync(home.path, { recursive: true, force: true }))

  const name = 'q1._domainkey.example.org'
  const record = async (selector: string): Promise<string> =>
    (await shownKeys(home)).find((key) => key.selector === selector)?.record ?? ''
  const said = async (dns: ZoneDns | undefined): Promise<string[]> =>
    (await signingKeyFindings(home, dns)).map(({ level, text }) => `${level} ${text}`)

  it('are well when the DNS has the one that signs', async () => {
    assert.deepEqual(await said(new ZoneDns().set(name, `TXT ${await record('q1')}`)), [])
  })

  it('are unpublished, or published wrongly, or nobody can tell', async () => {
    assert.match((await said(new ZoneDns())).join(), /^warning example\.org: q1\S+ has no TXT record/)
    const others = new ZoneDns().set(name, `TXT ${await record('q2')}`)
    assert.match((await said(others)).join(), /^error example\.org q1: a receiver would say fail/)
    assert.deepEqual(await said(new ZoneDns().setName(name, { records: [], trouble: true })), [])
  })

  it('are old after a year', async () => {
    const path = keyPath(home, { domain: 'example.org', selector: 'q1' })
    utimesSync(path, new Date(), new Date(Date.now() - 400 * day))
    assert.deepEqual(await said(undefined), ['note the key q1 of example.org is 400 days old'])
  })

  it('are made once: what is there stays, and what is missing is made', async () => {
    const before = [await record('q1'), await record('q2')]
    rmSync(keyPath(home, { domain: 'example.org', selector: 'q2' }))
    await makeFirstKeys(home, 'example.org')
    assert.equal(await record('q1'), before[0])
    assert.notEqual(await record('q2'), before[1])
  })
})
