import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32, deflateRawSync, gzipSync } from 'node:zlib'
import { isAligned } from '../../protocols/dmarc/aggregate-report.ts'
import { ReportError } from '../../protocols/reports/report-error.ts'
import { sharedPath, skipWithout } from '#test/kit/shared.ts'
import { reportInMail, reportInPart } from './dmarc-report-in.ts'

/** Folder, file, domain, rows, messages, of them aligned. */
const samples: readonly (readonly [string, string, string, number, number, number])[] = [
  ['parsedmarc/aggregate', '!example.com!1538204542!1538463818.xml', 'example.com', 1, 1, 0],
  [
    'parsedmarc/aggregate',
    'Report domain- borschow.com Submitter- google.com Report-ID- 949348866075514174.eml',
    'borschow.com',
    1,
    1,
    0,
  ],
  ['parsedmarc/aggregate', 'addisonfoods.com!example.com!1536105600!1536191999.xml', 'example.com', 1, 1, 0],
  ['parsedmarc/aggregate', 'empty_reason.xml', 'example.com', 1, 2, 2],
  [
    'parsedmarc/aggregate',
    'estadocuenta1.infonacot.gob.mx!example.com!1536853302!1536939702!2940.xml.zip',
    'example.com',
    1,
    1,
    0,
  ],
  ['parsedmarc/aggregate', 'example.net!example.com!1529366400!1529452799.xml', 'example.com', 1, 1, 0],
  ['parsedmarc/aggregate', 'fastmail.com!example.com!1516060800!1516147199!102675056.xml.gz', 'indemed.com', 1, 1, 0],
  ['parsedmarc/aggregate', 'ikea.com!example.de!1538690400!1538776800.xml', 'example.de', 1, 1, 0],
  ['parsedmarc/aggregate', 'mimecast-weird-gzip.eml', 'ab.id.au', 1, 1, 1],
  ['parsedmarc/aggregate', 'old_draft_from_wiki.xml', 'example.com', 1, 2, 2],
  ['parsedmarc/aggregate', 'protection.outlook.com!example.com!1711756800!1711843200.xml', 'example.com', 1, 1, 0],
  ['parsedmarc/aggregate', 'rfc9990-example.net!example.com!1700000000!1700086399.xml', 'example.com', 2, 7, 5],
  ['parsedmarc/aggregate', 'rfc9990-sample.xml', 'example.com', 1, 123, 123],
  ['parsedmarc/aggregate', 'twilight.eml', 'twlnet.com', 1, 1, 1],
  ['parsedmarc/aggregate', 'usssa.com!example.com!1538784000!1538870399.xml', 'example.com', 2, 2, 0],
  ['parsedmarc/aggregate', 'veeam.com!example.com!1530133200!1530219600.xml', 'example.com', 1, 1, 0],
  ['parsedmarc/aggregate_invalid', 'report_with_upper_cased_pass.xml', 'example.com', 1, 1, 1],
  ['mail-auth/dmarc-feedback', '001.xml', 'example.com', 1, 123, 123],
  ['mail-auth/dmarc-feedback', '002.xml', 'example.org', 1, 2, 2],
  ['mail-auth/dmarc-feedback', '003.xml', 'stalw.art', 4, 9, 1],
  ['mail-auth/dmarc-feedback', '004.xml', 'example.com', 1, 123, 123],
  ['mail-auth/dmarc-feedback', '005.xml', 'example.com', 1, 1, 1],
  ['mail-auth/dmarc-feedback', '100.eml', 'stalw.art', 1, 1, 1],
  ['mail-auth/dmarc-feedback', '101.eml', 'stalw.art', 1, 1, 0],
  ['mail-auth/dmarc-feedback', '102.eml', 'stalw.art', 1, 1, 0],
  ['mail-auth/dmarc-feedback', '103.eml', 'stalw.art', 1, 1, 0],
  ['mail-auth/dmarc-feedback', '104.eml', 'stalw.art', 1, 1, 0],
  ['mox-reports/dmarc', 'google.eml', 'ueber.net', 2, 5, 5],
  ['mox-reports/dmarc', 'mailru.eml', 'ueber.net', 1, 1, 0],
  ['mox-reports/dmarc', 'outlook.eml', 'ueber.net', 1, 2, 2],
  ['mox-reports/dmarc', 'xs4all.eml', 'ueber.net', 1, 1, 1],
  ['mox-reports/dmarc', 'yahoo.eml', 'ueber.net', 1, 1, 1],
]

describe('aggregate reports of others', () => {
  for (const [folder, name, domain, rows, messages, aligned] of samples)
    it(`44: ${folder}/${name}`, { skip: skipWithout('suites', folder) }, async () => {
      const bytes = readFileSync(join(sharedPath('suites', folder) ?? '', name))
      const report = await (name.endsWith('.eml') ? reportInMail(bytes) : reportInPart(bytes))
      const count = (fits: (row: (typeof report.rows)[number]) => boolean): number =>
        report.rows.filter(fits).reduce((sum, row) => sum + row.count, 0)
      assert.deepEqual(
        [report.domain, report.rows.length, count(() => true), count(isAligned)],
        [domain, rows, messages, aligned],
      )
    })

  it('44: what is broken is refused', { skip: skipWithout('suites/parsedmarc') }, async () => {
    const file = (name: string): Buffer => readFileSync(join(sharedPath('suites/parsedmarc/aggregate') ?? '', name))
    await assert.rejects(reportInPart(file('invalid_xml.xml')), /ReportError: it is no XML/)
    await assert.rejects(reportInPart(file('invalid_utf_8.xml')), /not in UTF-8/)
  })
})

const head =
  '<feedback><report_metadata><org_name>x</org_name><report_id>1</report_id><date_range><begin>1</begin><end>2</end></date_range></report_metadata><policy_published><domain>Example.COM.</domain></policy_published>'
const row = (ip: string, count: string): string =>
  `<record><row><source_ip>${ip}</source_ip><count>${count}</count></row></record>`

describe('a report', () => {
  const read = (text: string) => reportInPart(Buffer.from(text))

  it('adds up rows that are alike, and takes an address for what it is', async () => {
    const report = await read(`${head}${row('2001:DB8::0:1', '2')}${row('2001:db8::1', '3')}</feedback>`)
    assert.deepEqual(
      report.rows.map(({ ip, count }) => [ip, count]),
      [['2001:db8::1', 5]],
    )
    assert.equal(report.domain, 'example.com')
  })

  it('44: is refused for a DTD, entities, depth, length, what is no number and no address', async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['<!DOCTYPE feedback [<!ENTITY a "b">]><feedback/>', /DTD/],
      [`${head}${row('192.0.2.1', '&eacute;')}</feedback>`, /no XML/],
      [`<feedback>${'<a>'.repeat(10_000)}`, /nested deeper/],
      ['<schema>'.repeat(10_000), /nested deeper/],
      [
        `<feedback ${'a="b" '.repeat(1)}${Array.from({ length: 100 }, (_, at) => `a${at}="b"`).join(' ')}>`,
        /attributes/,
      ],
      [`<feedback a="${'x'.repeat(1_000_000)}"/>`, /no XML/],
      [`<feedback><report_metadata><org_name>${'x'.repeat(10_000)}`, /longer than 4096/],
      [`${head}${row('192.0.2.1', '-1')}</feedback>`, /no number/],
      [`${head}${row('192.0.2.1', '1e9')}</feedback>`, /no number/],
      [`${head}${row('mail.example', '1')}</feedback>`, /no address/],
      [head, /no XML/],
      ['<html></html>', /it is a <html>/],
      ['', /no report/],
    ]
    for (const [text, reason] of cases) await assert.rejects(read(text), reason, text.slice(0, 80))
  })

  it('44: that unpacks to a gigabyte costs no more than its beginning', async () => {
    const spaces = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '))
    await assert.rejects(reportInPart(spaces), /unpacks to more than/)
    await assert.rejects(reportInPart(zip(Buffer.alloc(64 * 1024 * 1024, ' '))), /unpacks to more than/)
  })

  it('is read from an archive as from none', async () => {
    const text = Buffer.from(`${head}${row('192.0.2.1', '7')}</feedback>`)
    for (const part of [text, gzipSync(text), zip(text), Buffer.concat([gzipSync(text), Buffer.from('\r\n')])])
      assert.equal((await reportInPart(part)).rows[0]?.count, 7)
  })

  it('is refused in an archive that is broken, wherever it is cut', async () => {
    const whole = zip(Buffer.from(`${head}</feedback>`))
    for (let end = 2; end < whole.length; end++) await assert.rejects(reportInPart(whole.subarray(0, end)), ReportError)
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = 0xff
      // Whatever it says then, it is a value or a ReportError.
      await reportInPart(changed).catch((error: unknown) => assert.ok(error instanceof ReportError, String(error)))
    }
  })
})

/** One file, as archivers write it. */
function zip(content: Buffer): Buffer {
  const packed = deflateRawSync(content)
  const name = Buffer.from('report.xml')
  const facts = Buffer.alloc(22)
  facts.writeUInt16LE(20, 0)
  facts.writeUInt16LE(8, 4)
  facts.writeUInt32LE(crc32(content), 10)
  facts.writeUInt32LE(packed.length, 14)
  facts.writeUInt32LE(content.length, 18)
  const lengths = Buffer.from([name.length, 0, 0, 0])
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), facts, lengths, name, packed])
  const rest = Buffer.alloc(14)
  const central = Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), facts, lengths, rest, name])
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, central, end])
}
