/** Sends the reports of past days (RFC 9990): looks up who wants them, writes each, and gives it to the queue like other mail.
 *  Knows:  which addresses get reports, and how fast; which get none, because a report to them bounced.
 *  Never:  reports on bounces and reports alone, or to domains that we send no mail to, unless set to.
 *  Fails:  failed lookups are repeated after an hour, for three days. A report may go twice, under one id. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Outcome } from '../../base/outcome.ts'
import { mailAddresses, type Destination, destination } from '../../protocols/dmarc/report-destinations.ts'
import { writeReport } from '../../protocols/dmarc/report-writer.ts'
import type { TextAnswer } from '../../protocols/dmarc/tree-walk.ts'
import { headerDate } from '../../protocols/qmail/date.ts'
import { domainOf } from '../../protocols/reports/plain-address.ts'
import { formatReportMail } from '../../protocols/reports/report-mail.ts'
import { reportFileName, reportSubject } from '../../protocols/reports/report-name.ts'
import type { DomainDay, EvaluationStore, SentReport } from '../../stores/dmarc-evaluations/evaluation-store.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { dayAt } from './evaluation-log.ts'
import {
  betweenReportsMilliseconds,
  destinationMillisecondsMax,
  reportBytesMax,
  reportRetryMilliseconds,
  reportsAfterMilliseconds,
  reportsPerDayMax,
  suppressedMilliseconds,
} from './limits.ts'

/** control/dmarcreports. */
export const reportModes = ['off', 'known', 'all'] as const
export type ReportMode = (typeof reportModes)[number]

/** An unknown word counts as the default. */
export function readReportMode(line: ByteString): ReportMode {
  const word = line.trim().toLowerCase()
  return reportModes.find((mode) => mode === word) ?? 'known'
}

export interface ReportSettings {
  readonly mode: ReportMode
  /** The sender of reports, or why none can be sent. */
  readonly from: { readonly address: ByteString } | { readonly why: string }
  /** Domains, and hosts of report addresses, that get none; in lower case. */
  readonly skipped: ReadonlySet<string>
}

export interface ReportSenderParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly settings: () => ReportSettings
  /** `deadline`: on the monotonic clock. */
  readonly texts: (name: string, deadline: number) => Promise<TextAnswer>
  /** Gives a report to the queue. */
  readonly send: (from: ByteString, to: ByteString, content: ByteString) => Promise<Outcome<number>>
  /** In base64. */
  readonly compress: (text: Iterable<string>) => Promise<string>
  /** 128 random bits in hexadecimal digits. */
  readonly newToken: () => string
}

const daySeconds = 86_400
/** In one step: sessions' questions wait meanwhile. */
const lookedAtMax = 1_000
const forgottenMax = 50
const dayMilliseconds = 86_400_000

export class ReportSender {
  private readonly parts: ReportSenderParts
  private readonly afterMidnight: number
  private nextAt = 0
  private readonly retryAt = new Map<string, number>()

  constructor(parts: ReportSenderParts) {
    this.parts = parts
    this.afterMidnight = between(parts.random, reportsAfterMilliseconds)
  }

  /** Sends one report, if one is due. To be called regularly. */
  async step(store: EvaluationStore): Promise<void> {
    const now = this.parts.clock.now()
    const today = dayAt(now)
    const { mode, from } = this.parts.settings()
    // The wait is limited, since the clock may have been set back.
    if (now < this.nextAt && this.nextAt - now <= betweenReportsMilliseconds.max) return
    if (mode === 'off' || 'why' in from) return
    let forgotten = 0
    // Days before yesterday are late already.
    const before = now < today * dayMilliseconds + this.afterMidnight ? today - 1 : today
    if (store.sent(today * dayMilliseconds).length >= reportsPerDayMax) return
    for (const due of store.domainDays(before, lookedAtMax)) {
      const key = `${due.day} ${due.domain}`
      if ((this.retryAt.get(key) ?? 0) > this.parts.clock.monotonic()) continue
      if (this.whyNot(due, store) !== undefined) {
        store.forget(due)
        if (++forgotten >= forgottenMax) return
        continue
      }
      this.nextAt = now + between(this.parts.random, betweenReportsMilliseconds)
      const isDone = await this.report(due, from.address, store)
      this.retryAt.delete(key)
      if (isDone) store.forget(due)
      else this.retryAt.set(key, this.parts.clock.monotonic() + reportRetryMilliseconds)
      return
    }
  }

  /** Undefined: it is sent, if the named addresses accept it. */
  whyNot({ domain, reportsTo, triggers }: DomainDay, store: EvaluationStore): string | undefined {
    const now = this.parts.clock.now()
    const { mode, from, skipped } = this.parts.settings()
    if (mode === 'off') return 'control/dmarcreports is off'
    if ('why' in from) return from.why
    if (triggers === 0) return 'nothing came but bounces and reports'
    if (skipped.has(domain)) return 'control/dmarcreportskip names it'
    if (mode === 'known' && !store.isKnown(domain, dayAt(now)))
      return 'no mail of ours has gone there in the last 30 days (control/dmarcreports)'
    const addresses = mailAddresses(reportsTo).filter((address) => address.toLowerCase() !== from.address.toLowerCase())
    if (addresses.length === 0) return 'it is ours'
    const taking = addresses.filter((address) => !skipped.has(domainOf(address)))
    if (taking.length === 0) return 'control/dmarcreportskip names who takes its reports'
    if (taking.every((address) => store.isSuppressed(address, now))) return 'a report to it came back lately'
    return undefined
  }

  /** Records that a report bounced: its address gets none for a while. */
  cameBack(token: string, store: EvaluationStore): void {
    const now = this.parts.clock.now()
    const report = store.sentReport(token)
    if (report === undefined || report.state === 'failed') return
    store.note({ ...report, state: 'failed' })
    store.suppress(report.address, now + suppressedMilliseconds)
    this.parts.log(`dmarc report about ${report.domain} to ${report.address} came back: none for 30 days`)
  }

  /** False: not possible now. */
  private async report(due: DomainDay, from: ByteString, store: EvaluationStore): Promise<boolean> {
    const { skipped } = this.parts.settings()
    let isDone = true
    const addresses = new Set<ByteString>()
    for (const asked of mailAddresses(due.reportsTo)) {
      const found = await this.destinationOf(due.domain, asked)
      if (found.kind === 'trouble') isDone = false
      if (found.kind !== 'wanted')
        this.parts.log(`dmarc report about ${due.domain} to ${asked}: not sent: ${found.why}`)
      else for (const address of found.addresses) addresses.add(address)
    }
    const now = this.parts.clock.now()
    const before = store.sentAbout(due)
    const isWanted = (address: ByteString): boolean =>
      address.toLowerCase() !== from.toLowerCase() &&
      !skipped.has(domainOf(address)) &&
      !store.isSuppressed(address, now) &&
      before.every((one) => one.address !== address || one.state === 'begun')
    const to = [...addresses].filter(isWanted)
    if (to.length === 0) return isDone
    const base64 = await this.parts.compress(this.xml(due, from, store))
    if (base64.length > (reportBytesMax / 3) * 4) {
      this.parts.log(`dmarc report about ${due.domain}: not sent: ${base64.length} bytes`)
      return true
    }
    for (const address of to) {
      const known = before.find((one) => one.address === address)
      if (!(await this.send(due, from, address, base64, known?.token ?? this.parts.newToken(), store))) isDone = false
    }
    return isDone
  }

  private async destinationOf(domain: string, address: ByteString): Promise<Destination> {
    const steps = destination(domain, address)
    const deadline = this.parts.clock.monotonic() + destinationMillisecondsMax
    let step = steps.next()
    while (step.done !== true) step = steps.next(await this.parts.texts(step.value, deadline))
    return step.value
  }

  private *xml(due: DomainDay, from: ByteString, store: EvaluationStore): Generator<string> {
    const { day, published, reportId, leftOut } = due
    const facts = {
      organization: domainOf(from),
      contact: from,
      id: reportId,
      begin: day * daySeconds,
      end: (day + 1) * daySeconds - 1,
      errors: leftOut === 0 ? [] : [`${leftOut} messages are left out: too many different rows`],
      published,
    }
    yield* writeReport(facts, store.rows(due))
  }

  private async send(
    due: DomainDay,
    from: ByteString,
    to: ByteString,
    base64: string,
    token: string,
    store: EvaluationStore,
  ): Promise<boolean> {
    const { clock, log } = this.parts
    const { day, domain, reportId: id, messages } = due
    const name = { submitter: domainOf(from), domain, begin: day * daySeconds, end: (day + 1) * daySeconds - 1, id }
    const content = formatReportMail({
      from,
      to,
      subject: reportSubject(name),
      date: headerDate(clock.now()),
      messageId: messageIdOf(token, from),
      // RFC 8689 §5: a report about TLS trouble must get through in spite of that trouble.
      fields: [['TLS-Required', 'No']],
      reportType: undefined,
      text: reportText(domain, name.submitter, day, messages, from),
      part: { mediaType: 'application/gzip', fileName: reportFileName(name, 'xml.gz'), base64 },
    })
    const sent: SentReport = { token, day, domain, address: to, state: 'begun', atMs: clock.now() }
    store.note(sent)
    const outcome = await this.parts.send(from, to, content)
    if (!outcome.done) {
      log(`dmarc report about ${domain} to ${to}: the queue does not take it: ${outcome.failure.logText}`)
      return outcome.failure.class === 5
    }
    store.note({ ...sent, state: 'queued' })
    log(`dmarc report ${id} about ${domain} to ${to}: ${messages} messages, qp ${outcome.value}`)
    return true
  }
}

/** The token in it identifies the report in a bounce. */
function messageIdOf(token: string, from: ByteString): string {
  return `dmarc.${token}@${domainOf(from)}`
}

function reportText(domain: string, submitter: string, day: number, messages: number, from: ByteString): string {
  const date = new Date(day * dayMilliseconds).toISOString().slice(0, 10)
  return `This is a DMARC aggregate report (RFC 9990) of ${submitter}
about mail that came here on ${date} (UTC) with an author in
${domain}: ${messages} messages.

You get it because the DMARC record of ${domain}
names this address (rua). Programs read what is attached.
Questions: ${from}
`
}

function between(random: Random, { min, max }: { readonly min: number; readonly max: number }): number {
  return min + random.below(max - min)
}
