/** Aggregate reports (DMARC) that we owe: what is counted, when and to whom it goes, what a receiver reads. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { done, failed, type Outcome, transient } from '../../src/base/outcome.ts'
import type { AuthQuestion } from '../../src/contracts/policy-auth.ts'
import type { ActedNotice } from '../../src/contracts/policy.ts'
import { AuthCheck } from '../../src/programs/policy/auth-check.ts'
import type { ReportMode, ReportSettings } from '../../src/programs/policy/report-sender.ts'
import { Reports } from '../../src/programs/policy/reports.ts'
import { SpfCheck } from '../../src/programs/policy/spf-check.ts'
import { reportInMail } from '../../src/programs/quaver/dmarc-report-in.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { gzipped } from '../../src/system/gzip.ts'
import { realRandom } from '../../src/system/random.ts'
import { signerOf } from '../kit/dkim-message.ts'
import { FakeClock } from '../kit/smtpd.ts'
import { ZoneDns } from '../kit/zone-dns.ts'

const hour = 3_600_000
const day = 24 * hour
const from = 'dmarc-reports@mx.us.test'

interface Sent {
  readonly to: string
  readonly content: string
}

class World {
  readonly clock = new FakeClock()
  readonly dns = new ZoneDns()
  readonly sent: Sent[] = []
  readonly log: string[] = []
  readonly troubles: string[] = []
  readonly home: string
  mode: ReportMode = 'known'
  settings: Partial<ReportSettings> = {}
  answer: () => Outcome<number> = () => done(1)
  reports: Reports
  private readonly auth: AuthCheck

  constructor(t: TestContext) {
    this.home = mkdtempSync(join(tmpdir(), 'quaver-owed-'))
    mkdirSync(join(this.home, 'reports/dmarc'), { recursive: true })
    mkdirSync(join(this.home, 'reports/failed'))
    this.reports = this.begin()
    const { dns, clock } = this
    const spf = new SpfCheck({ dns, clock, random: realRandom, receiver: 'us.test' })
    this.auth = new AuthCheck({ dns, clock, spf, onEvaluated: (message) => this.reports.evaluated(message) })
    t.after(() => {
      this.reports.close()
      rmSync(this.home, { recursive: true, force: true })
    })
  }

  begin(): Reports {
    let token = 0
    return new Reports({
      home: homeAt(this.home),
      clock: this.clock,
      random: realRandom,
      log: (line) => void this.log.push(line),
      onTrouble: (_, text) => void this.troubles.push(text),
      refresh: () => undefined,
      mode: () => this.mode,
      settings: () => ({ mode: this.mode, from: { address: from }, skipped: new Set(), ...this.settings }),
      texts: (name, deadline) => this.auth.texts(name, deadline),
      send: async (_, to, content) => {
        this.sent.push({ to, content })
        return this.answer()
      },
      compress: async (text) => (await gzipped(text)).toString('base64'),
      newToken: () => String(++token).padStart(32, '0'),
    })
  }

  /** A message comes, and this becomes of it. */
  async mail(
    message: string,
    question: Partial<AuthQuestion> = {},
    acted: Partial<Pick<ActedNotice, 'action' | 'reason'>> = {},
  ): Promise<void> {
    const base = { ip: '192.0.2.7', helo: 'mx.test', sender: 'a@client.test', refuseOpenPass: false, explain: false }
    const { receipt } = await this.auth.answer({ ...base, header: message, bodies: {}, ...question })
    if (receipt !== 0) this.reports.notice({ kind: 'acted', receipt, action: 'none', reason: 'none', ...acted })
  }

  met(...domains: string[]): void {
    this.reports.notice({ kind: 'sent', domains })
  }

  /** Time goes by, and policy looks at the calendar as often as it does. */
  async pass(milliseconds: number): Promise<void> {
    await this.reports.step()
    this.clock.time += milliseconds
    for (let turn = 0; turn < 6; turn++) {
      await this.reports.step()
      this.clock.time += 60_000
    }
  }

  toNight(): Promise<void> {
    return this.pass(day - (this.clock.time % day) + 5 * hour)
  }
}

const wants = (domain: string, address = `agg@${domain}`): string => `TXT v=DMARC1; p=quarantine; rua=mailto:${address}`

describe('reports that we owe', () => {
  it('41: tell of a day of mail, once, in a form that is read', async (t) => {
    const world = new World(t)
    const signer = await signerOf('client.test')
    world.dns.set('_dmarc.client.test', wants('client.test')).set('client.test', 'TXT v=spf1 ip4:192.0.2.7 -all')
    world.dns.set(signer.name, `TXT ${signer.record}`)
    world.met('client.test')
    const letter = 'From: A <a@client.test>\nSubject: x\n'
    for (let count = 0; count < 3; count++) await world.mail(letter)
    await world.mail(letter, { ip: '203.0.113.9', sender: 'x@evil.test' }, { action: 'quarantine' })
    await world.mail(letter, { ip: '203.0.113.9' }, { action: 'none', reason: 'trusted_forwarder' })
    await world.mail('From: <b@client.test>, <c@other.test>\n')
    await world.mail(letter, { explain: true })
    await world.toNight()
    assert.deepEqual(
      world.sent.map(({ to }) => to),
      ['agg@client.test'],
      world.log.join('\n'),
    )
    const content = world.sent[0]?.content ?? ''
    const begin = Date.UTC(2026, 10, 21) / 1000
    assert.match(
      content,
      /^From: <dmarc-reports@mx\.us\.test>\nTo: <agg@client\.test>\nSubject: Report Domain: client\.test Submitter: mx\.us\.test Report-ID:\n <[0-9a-f]{32}>\n/,
    )
    assert.match(content, /\nAuto-Submitted: auto-generated\n/)
    assert.match(content, /\nTLS-Required: No\n/)
    const name = `filename="mx.us.test!client.test!${begin}!${begin + 86_399}!`
    assert.ok(content.includes(name), content)
    assert.ok(content.split('\n').every((line) => line.length <= 150 && /^[ -~]*$/.test(line)))
    const report = await reportInMail(Buffer.from(content))
    assert.deepEqual(
      [report.organization, report.contact, report.begin, report.end, report.domain, report.policy],
      ['mx.us.test', from, begin, begin + 86_399, 'client.test', 'quarantine'],
    )
    assert.deepEqual(
      report.rows
        .map(({ ip, count, disposition, dkim, spf, reasons }) => [ip, count, disposition, dkim, spf, reasons.join()])
        .toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
      [
        ['192.0.2.7', 3, 'none', false, true, ''],
        ['203.0.113.9', 1, 'none', false, false, 'trusted_forwarder'],
        ['203.0.113.9', 1, 'quarantine', false, false, ''],
      ],
    )
    await world.toNight()
    assert.equal(world.sent.length, 1)
  })

  it('43: go to whom we write to, or to all, or to nobody', async (t) => {
    const world = new World(t)
    for (const domain of ['spam.test', 'friend.test']) world.dns.set(`_dmarc.${domain}`, wants(domain))
    const both = async (): Promise<void> => {
      await world.mail('From: <a@spam.test>\n')
      await world.mail('From: <a@friend.test>\n')
    }
    const to = (): string[] => world.sent.splice(0).map((one) => one.to)
    await both()
    await world.toNight()
    assert.deepEqual(to(), [])
    world.met('mail.friend.test')
    await both()
    await world.toNight()
    assert.deepEqual(to(), ['agg@friend.test'])
    world.mode = 'all'
    await both()
    await world.toNight()
    assert.deepEqual(to(), ['agg@friend.test', 'agg@spam.test'])
    world.settings = { skipped: new Set(['spam.test']) }
    await both()
    await world.toNight()
    assert.deepEqual(to(), ['agg@friend.test'])
    world.settings = { from: { why: 'nothing is signed' } }
    await both()
    await world.toNight()
    world.settings = {}
    world.mode = 'off'
    await both()
    await world.toNight()
    assert.deepEqual(to(), [])
    // A month without mail to them, and nobody is known.
    await world.pass(31 * day)
    world.mode = 'known'
    await both()
    await world.toNight()
    assert.deepEqual(to(), [])
    assert.deepEqual(world.troubles, [])
  })

  it('43: are not sent for the sake of bounces and reports, nor to ourselves', async (t) => {
    const world = new World(t)
    world.mode = 'all'
    world.dns.set('_dmarc.a.test', wants('a.test')).set('_dmarc.b.test', wants('b.test', from))
    await world.mail('From: <r@a.test>\nSubject: Report Domain: us.test Submitter: a.test\n')
    await world.mail('From: <r@a.test>\nAuto-Submitted: auto-replied\n')
    await world.mail('From: <r@a.test>\nContent-Type: multipart/report; report-type="tlsrpt"\n')
    await world.mail('From: <mailer-daemon@a.test>\n', { sender: '' })
    await world.mail('From: <a@b.test>\n')
    await world.toNight()
    assert.equal(world.sent.length, 0)
    // With a letter, the others are told of, too.
    await world.mail('From: <r@a.test>\nAuto-Submitted: auto-replied\n')
    await world.mail('From: <joe@a.test>\n')
    await world.toNight()
    const report = await reportInMail(Buffer.from(world.sent[0]?.content ?? ''))
    assert.equal(report.rows[0]?.count, 2)
  })

  it('43: go to nobody for a month from whom one came back', async (t) => {
    const world = new World(t)
    world.mode = 'all'
    world.dns.set('_dmarc.a.test', wants('a.test'))
    await world.mail('From: <joe@a.test>\n')
    await world.toNight()
    const token = /Message-ID: <dmarc\.([0-9a-f]{32})@/.exec(world.sent[0]?.content ?? '')?.[1] ?? ''
    writeFileSync(join(world.home, 'reports/failed', token), '')
    await world.mail('From: <joe@a.test>\n')
    await world.toNight()
    assert.equal(world.sent.length, 1)
    await world.pass(31 * day)
    await world.mail('From: <joe@a.test>\n')
    await world.toNight()
    assert.equal(world.sent.length, 2)
  })

  it('are tried again, under the same id, when the queue or the DNS is away, and outlive a restart', async (t) => {
    const world = new World(t)
    world.mode = 'all'
    world.dns.set('_dmarc.a.test', wants('a.test', 'r@mx.other.test'))
    world.dns.setName('a.test._report._dmarc.mx.other.test', { records: [], trouble: true })
    world.answer = () => failed(transient('3.0', 'not now'))
    await world.mail('From: <joe@a.test>\n')
    await world.toNight()
    assert.equal(world.sent.length, 0, 'nobody knows whether it is wanted')
    world.dns.set('a.test._report._dmarc.mx.other.test', 'TXT v=DMARC1')
    await world.pass(hour)
    assert.equal(world.sent.length, 1)
    world.reports.close()
    world.reports = world.begin()
    world.answer = () => done(2)
    await world.pass(5 * hour)
    assert.equal(world.sent.length, 2)
    const [first, second] = world.sent.map(({ content }) => /Report-ID: (<.*>)[^]*(Message-ID: .*)/.exec(content))
    assert.deepEqual(first?.slice(1), second?.slice(1))
    await world.toNight()
    assert.equal(world.sent.length, 2)
  })

  it('cost no more than the store has room for, whatever strangers send, and a damaged store costs reports alone', async (t) => {
    const world = new World(t)
    world.mode = 'all'
    world.dns.set('_dmarc.a.test', wants('a.test'))
    for (let at = 0; at < 5_200; at++) await world.mail('From: <joe@a.test>\n', { sender: `x@s${at}.test` })
    await world.toNight()
    const report = await reportInMail(Buffer.from(world.sent[0]?.content ?? ''))
    assert.equal(
      report.rows.reduce((sum, { count }) => sum + count, 0),
      5_000,
    )
    world.reports.close()
    writeFileSync(join(world.home, 'reports/dmarc/evaluated.db'), 'x'.repeat(10_000))
    world.reports = world.begin()
    await world.mail('From: <joe@a.test>\n')
    await world.toNight()
    assert.match(world.troubles.join(), /set aside as .*evaluated\.db\.damaged/)
    assert.equal(world.sent.length, 2)
  })
})
