import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ReportReader } from './report-reader.ts'
import { type EvaluatedRow, type ReportFacts, writeReport } from './report-writer.ts'

const facts: ReportFacts = {
  organization: 'mx.us.test',
  contact: 'r@mx.us.test',
  id: 'abc',
  begin: 86_400,
  end: 172_799,
  errors: [],
  published: {
    domain: 'a.test',
    policy: 'reject',
    subdomains: 'quarantine',
    absent: undefined,
    isDkimStrict: true,
    isSpfStrict: false,
    isTest: false,
  },
}
const row: EvaluatedRow = {
  ip: '192.0.2.1',
  disposition: 'quarantine',
  dkim: false,
  spf: false,
  reasons: ['local_policy'],
  from: 'a.test',
  sender: 'b.test',
  signatures: [{ domain: 'b.test', selector: 's1', result: 'pass' }],
  spfResult: { domain: 'b.test', result: 'softfail' },
}

describe('an aggregate report', () => {
  it('41: has its elements in the order of RFC 9990', () => {
    const xml = [...writeReport({ ...facts, errors: ['2 left out'] }, [[row, 7]])].join('')
    const order = [...xml.matchAll(/<([a-z_]+)[ >]/g)].map(([, name]) => name).join(' ')
    assert.equal(
      order,
      'feedback version report_metadata org_name email report_id date_range begin end error generator ' +
        'policy_published domain discovery_method p sp adkim aspf testing ' +
        'record row source_ip count policy_evaluated disposition dkim spf reason type ' +
        'identifiers header_from envelope_from auth_results dkim domain selector result spf domain scope result',
    )
    assert.match(
      xml,
      /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2\.0">\n/,
    )
  })

  it('says what a stranger wrote without becoming what he wants', () => {
    const evil = `a&<b>"c'\u0001\u00e9</domain>`
    const published = { ...facts.published, domain: evil }
    const signatures = [{ domain: evil, selector: evil, result: 'pass' }]
    const rows = [[{ ...row, from: evil, sender: evil, signatures }, 1]] as const
    const reader = new ReportReader()
    for (const piece of writeReport({ ...facts, published }, rows)) reader.push(Buffer.from(piece))
    const report = reader.end()
    const shown = `a&<b>"c'??</domain>`
    assert.deepEqual([report.domain, report.rows[0]?.from], [shown, shown])
    assert.equal(report.rows.length, 1)
    assert.deepEqual(report.rows[0]?.found, [`dkim=pass ${shown}`, 'spf=softfail b.test'])
  })
})
