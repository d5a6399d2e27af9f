/** Aggregate reports (DMARC) as they come: from the mail to the sums. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type CommandResult, launcher, run } from '../kit/instance.ts'

const day = 86_400
const midnight = Math.floor(Date.now() / 1000 / day) * day

function xml(domain: string, id: string, begin = midnight - day): string {
  const row = (ip: string, count: number, dkim: string, spf: string, more = ''): string =>
    `<record><row><source_ip>${ip}</source_ip><count>${count}</count><policy_evaluated><disposition>none</disposition>
<dkim>${dkim}</dkim><spf>${spf}</spf></policy_evaluated></row><identifiers><header_from>${domain}</header_from></identifiers>
<auth_results>${more}</auth_results></record>`
  return `<?xml version="1.0"?><feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><report_metadata><org_name>Big Mail</org_name>
<email>r@big.test</email><report_id>${id}</report_id><date_range><begin>${begin}</begin><end>${begin + day - 1}</end></date_range></report_metadata>
<policy_published><domain>${domain}</domain><p>none</p></policy_published>
${row('192.0.2.1', 40, 'pass', 'pass')}${row('198.51.100.9', 3, 'fail', 'fail', '<dkim><domain>elsewhere.test</domain><result>pass</result></dkim>')}
</feedback>`
}

function mail(results: string, report: string): Buffer {
  const base64 = gzipSync(report).toString('base64')
  return Buffer.from(`Delivered-To: dmarc-reports@mx.test
${results}Received: from mx.big.test by mx.test; 1 Jan 2026 00:00:00 -0000
From: r@big.test
Subject: Report
MIME-Version: 1.0
Content-Type: application/octet-stream; name="a b.xml"
Content-Transfer-Encoding: base64

${base64}
`)
}

const proven =
  'Authentication-Results: mx.test; spf=pass smtp.mailfrom=r@big.test;\n\tdmarc=pass (p=none dis=none) header.from=big.test\n'

describe('a report that comes', () => {
  let home = ''
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'quaver-reports-'))
    mkdirSync(join(home, 'control'))
    mkdirSync(join(home, 'reports/received'), { recursive: true })
    writeFileSync(join(home, 'control/me'), 'mx.test\n')
    writeFileSync(join(home, 'control/rcpthosts'), 'example.test\n')
  })
  after(() => rmSync(home, { recursive: true, force: true }))

  const take = (message: Buffer): Promise<CommandResult> => run(launcher, ['dmarc', 'take', '--home', home], message)
  const sums = async (...more: string[]): Promise<CommandResult> =>
    await run(launcher, ['dmarc', 'reports', '--home', home, ...more])

  it('is kept once, and summed up by source', async () => {
    const first = await take(mail(proven, xml('example.test', 'one')))
    assert.equal(first.code, 99, first.stderr)
    assert.match(first.stdout, /DMARC report one of big\.test about example\.test: 43 messages/)
    const again = await take(mail(proven, xml('example.test', 'one')))
    assert.match(again.stdout, /known already/)
    const below = await take(mail(proven, xml('news.example.test', 'two', midnight - 20 * day)))
    assert.equal(below.code, 99)
    const shown = await sums('--domain', 'example.test', '--days', '7')
    assert.match(shown.stdout, /example\.test +\S+ to \S+: 43 messages, 93 % aligned/)
    assert.match(shown.stdout, /198\.51\.100\.9 +3 +- +- +- +- +- +not aligned: dkim=pass elsewhere\.test\n/)
    assert.match(shown.stdout, /192\.0\.2\.1 +40 +40 +40 +40/)
    const all = JSON.parse((await sums('--json')).stdout) as { domain: string; messages: number }[]
    assert.deepEqual(
      all.map(({ domain, messages }) => [domain, messages]),
      [
        ['example.test', 43],
        ['news.example.test', 43],
      ],
    )
    assert.match((await sums('--days', '7', '--domain', 'news.example.test')).stdout, /no reports about news/)
  })

  it('counts only if it is proven to come from somebody, of a domain of ours, and not out of time', async () => {
    const kept = readdirSync(join(home, 'reports/received')).length
    const cases: readonly (readonly [Buffer, RegExp])[] = [
      [mail('', xml('example.test', 'x1')), /neither DMARC nor DKIM/],
      [
        mail('Authentication-Results: other.test; dmarc=pass header.from=big.test\n', xml('example.test', 'x2')),
        /neither/,
      ],
      [
        mail(
          `Authentication-Results: mx.test; dkim=none;\n\tdmarc=fail header.from=big.test\n${proven}`,
          xml('example.test', 'x3'),
        ),
        /neither/,
      ],
      [mail(proven, xml('stranger.test', 'x4')), /about stranger\.test, which is in none of/],
      [mail(proven, xml('example.test', 'x5', midnight + 30 * day)), /about the time from/],
      [mail(proven, 'hello'), /it is no XML/],
      [Buffer.from(`${proven}From: joe@big.test\n\nWhat is this?\n`), /it is no XML/],
    ]
    for (const [message, reason] of cases) {
      const { code, stdout, stderr } = await take(message)
      assert.match(stdout, reason, stderr)
      assert.equal(code, 0, stdout)
    }
    assert.equal(readdirSync(join(home, 'reports/received')).length, kept)
  })

  it('waits while it cannot be kept', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'quaver-reports-'))
    try {
      mkdirSync(join(elsewhere, 'control'))
      writeFileSync(join(elsewhere, 'control/me'), 'mx.test\n')
      const args = ['dmarc', 'take', '--home', elsewhere]
      const { code, stderr } = await run(launcher, args, mail(proven, xml('mx.test', 'one')))
      assert.equal(code, 111, stderr)
      assert.match(stderr, /reports\/received/)
    } finally {
      rmSync(elsewhere, { recursive: true, force: true })
    }
  })
})
