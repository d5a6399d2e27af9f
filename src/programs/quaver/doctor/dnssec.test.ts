import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { homeAt } from '../../../stores/home/layout.ts'
import { dnssecFindings } from './dnssec.ts'

it('notes name servers that are not believed, unless nobody wants to know', (t) => {
  const path = mkdtempSync(join(tmpdir(), 'quaver-dnssec-'))
  t.after(() => rmSync(path, { recursive: true }))
  const home = homeAt(path)
  mkdirSync(home.control)
  const found = (files: Readonly<Record<string, string>>): string => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(home.control, name), text)
    const findings = dnssecFindings(home)
    for (const name of Object.keys(files)) rmSync(join(home.control, name))
    return findings.map(({ level, text }) => `${level} ${text}`).join()
  }
  assert.match(found({ dnsservers: '192.0.2.53\n' }), /^note the name servers \(192\.0\.2\.53\) are not believed/)
  assert.match(found({ dnsservers: '127.0.0.1\n192.0.2.53\n' }), /^note /)
  assert.equal(found({ dnsservers: '127.0.0.1\n' }), '')
  assert.equal(found({ dnsservers: '192.0.2.53\n', dnstrust: '192.0.2.53\n' }), '')
  assert.equal(found({ dnsservers: '192.0.2.53\n', dnstrust: 'none\n' }), '')
  assert.equal(found({ dnsservers: '192.0.2.53\n', smtproutes: ':relay.example\n' }), '')
  assert.equal(found({ dnsservers: 'rubbish\n' }), '')
})
