import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Home, homeAt } from '../../../stores/home/layout.ts'
import { ZoneDns } from '#test/kit/zone-dns.ts'
import { policyText } from '../../../protocols/mta-sts/published-policy.ts'
import { policyRecords } from '../dns-records.ts'
import { policyFindings } from './policies.ts'

const text = policyText({ mode: 'enforce', maxAge: 604_800, exchangers: [] }, 'mail.example.org')
const record = policyRecords('example.org', 'mail.example.org', text)[0]?.value.replaceAll('"', '') ?? ''

describe('policies of MTA-STS, looked at by the doctor', () => {
  let home: Home
  beforeEach(() => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-policies-')))
    mkdirSync(home.control)
    writeFileSync(join(home.control, 'me'), 'mail.example.org\n')
    writeFileSync(join(home.control, 'mtasts'), 'example.org:enforce\nother.test:wrong\n')
  })
  afterEach(() => rmSync(home.path, { recursive: true, force: true }))

  const said = async (records: readonly string[], body: string, status = 200): Promise<string[]> => {
    const dns = new ZoneDns().set('_mta-sts.example.org', ...records.map((one) => `TXT ${one}`))
    const found = await policyFindings(home, dns, async (url) => {
      assert.equal(url, 'https://mta-sts.example.org/.well-known/mta-sts.txt')
      if (body === 'away') throw new Error(`${url}: away`)
      return { status, body: Buffer.from(body) }
    })
    return found.map((one) => one.text)
  }

  it('are well where senders find them', async () => {
    assert.deepEqual(await said([record, 'something else'], text), [])
  })

  it('have no record, two, or an old one', async () => {
    assert.match((await said([], text)).join(), /^_mta-sts\.example\.org has no record/)
    assert.match((await said([record, record], text)).join(), / says v=STSv1; .* and v=STSv1; /)
    assert.match((await said(['v=STSv1; id=old;'], text)).join(), / says v=STSv1; id=old;: senders do not see/)
  })

  it('cannot be had, or are somebody else’s', async () => {
    assert.match((await said([record], 'away')).join(), /mta-sts\.txt: away$/)
    assert.match((await said([record], '', 404)).join(), /answers with status 404$/)
    assert.match((await said([record], 'version: STSv1')).join(), /is another policy/)
  })
})
