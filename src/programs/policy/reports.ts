/** The reports that we owe (DMARC): once a minute stores the counts; watches for bounces and due days, and sends one report at
 *  a time. Answers `quaver dmarc reports --pending`.
 *  Fails:  without the store nothing is counted, and no session waits for it. */
import type { Socket } from 'node:net'
import { readdirSync } from 'node:fs'
import { describeError } from '../../base/outcome.ts'
import type { PolicyNotice } from '../../contracts/policy.ts'
import { mailAddresses } from '../../protocols/dmarc/report-destinations.ts'
import { EvaluationStore } from '../../stores/dmarc-evaluations/evaluation-store.ts'
import { failedReports } from '../../stores/dmarc-reports/failed-reports.ts'
import type { Home } from '../../stores/home/layout.ts'
import { readOperation, serveAdmin } from '../../system/admin-server.ts'
import { SmallDatabaseError } from '../../system/small-database.ts'
import { dayAt, EvaluationLog, type EvaluatedMessage } from './evaluation-log.ts'
import { storeMilliseconds, storeRetryMilliseconds } from './limits.ts'
import { type ReportMode, ReportSender, type ReportSenderParts } from './report-sender.ts'

export interface ReportsParts extends ReportSenderParts {
  readonly home: Home
  /** Must be cheap: called for each message. */
  readonly mode: () => ReportMode
  /** Rereads changed control files. */
  readonly refresh: () => void
  readonly onTrouble: (topic: string, text: string) => void
}

const dayMilliseconds = 86_400_000
const stepMilliseconds = 5_000
const shownSentDays = 7
const shownMax = 5_000

export class Reports {
  private readonly parts: ReportsParts
  private readonly evaluations: EvaluationLog
  private readonly sender: ReportSender
  private store: EvaluationStore | undefined
  private retryAt = Number.NEGATIVE_INFINITY
  private prunedDay = 0
  private isStepping = false
  private isClosed = false
  private storedAt = Number.NEGATIVE_INFINITY
  private cancel = (): void => undefined

  constructor(parts: ReportsParts) {
    this.parts = parts
    this.evaluations = new EvaluationLog(parts.clock, parts.random)
    this.sender = new ReportSender(parts)
  }

  /** The receipt; 0: no report is wanted. */
  evaluated(message: EvaluatedMessage): number {
    return this.parts.mode() === 'off' ? 0 : this.evaluations.begin(message)
  }

  notice(notice: PolicyNotice): void {
    if (notice.kind === 'acted') this.evaluations.acted(notice)
    else if (this.parts.mode() !== 'off') this.evaluations.sent(notice.domains)
  }

  start(): void {
    if (this.isClosed) return
    this.cancel = this.parts.clock.after(stepMilliseconds, () => {
      void this.step().finally(() => this.start())
    })
  }

  /** Stores the counts. */
  close(): void {
    this.cancel()
    this.keep()
    this.isClosed = true
    this.use((store) => store.close())
    this.store = undefined
  }

  serve(socket: Socket): void {
    serveAdmin(socket, this.parts.clock, (request) => this.rows(request))
  }

  /** Does what is due now. */
  async step(): Promise<void> {
    if (this.isStepping) return
    this.isStepping = true
    try {
      this.parts.refresh()
      const now = this.parts.clock.monotonic()
      if (now - this.storedAt >= storeMilliseconds) {
        this.storedAt = now
        this.keep()
        this.heedFailures()
      }
      const store = this.store
      if (store !== undefined) await this.sender.step(store)
    } catch (error) {
      // After `close` a running step finds the store closed.
      if (!this.isClosed) this.trouble(error)
    } finally {
      this.isStepping = false
    }
  }

  private keep(): void {
    const { evaluations, met } = this.evaluations.take()
    const today = dayAt(this.parts.clock.now())
    // A host that owes no reports has no store.
    const isNeeded = this.store !== undefined || evaluations.length > 0 || met.length > 0 || this.isThere()
    if (!isNeeded) return
    this.use((store) => {
      store.add(evaluations, () => this.parts.newToken())
      store.meet(met, today)
      if (this.prunedDay !== today) store.prune(today)
      this.prunedDay = today
    })
  }

  private heedFailures(): void {
    const tokens = this.store === undefined ? [] : failedReports(this.parts.home)
    for (const token of tokens) this.use((store) => this.sender.cameBack(token, store))
  }

  private isThere(): boolean {
    try {
      return readdirSync(this.directory).length > 0
    } catch {
      // As good as empty: opening it later will report the fault.
      return false
    }
  }

  private get directory(): string {
    return `${this.parts.home.reports}/dmarc`
  }

  private use(act: (store: EvaluationStore) => void): void {
    try {
      this.store ??= this.open()
      if (this.store !== undefined) act(this.store)
    } catch (error) {
      this.trouble(error)
    }
  }

  private open(): EvaluationStore | undefined {
    const now = this.parts.clock.monotonic()
    if (now < this.retryAt) return undefined
    this.retryAt = now + storeRetryMilliseconds
    return EvaluationStore.open(this.directory, (text) => this.alert(text))
  }

  private trouble(error: unknown): void {
    if (!(error instanceof SmallDatabaseError)) throw error
    this.alert(`${describeError(error)}; messages are not counted for DMARC reports meanwhile`)
    if (!error.damaged) return
    try {
      this.store?.close()
    } catch {
      // It is damaged, and not used any more.
    }
    this.store = undefined
    this.retryAt = Number.NEGATIVE_INFINITY
  }

  private alert(text: string): void {
    this.parts.onTrouble(text, text)
  }

  private *rows(request: unknown): Generator<object> {
    const { op } = readOperation(request)
    if (op !== 'reports') throw new Error(`policy knows reports, not '${op}'`)
    this.parts.refresh()
    this.keep()
    this.heedFailures()
    const { mode, from } = this.parts.settings()
    yield { kind: 'settings', mode, ...('why' in from ? { why: from.why } : { from: from.address }) }
    const { store } = this
    if (store === undefined) return
    const today = dayAt(this.parts.clock.now())
    for (const due of store.domainDays(today + 1, shownMax)) {
      const { day, domain, messages, reportsTo } = due
      const why = this.sender.whyNot(due, store)
      yield {
        kind: 'pending',
        day,
        domain,
        messages,
        to: mailAddresses(reportsTo),
        ...(why === undefined ? {} : { why }),
      }
    }
    for (const { day, domain, address, state, atMs } of store.sent((today - shownSentDays) * dayMilliseconds))
      yield { kind: 'sent', day, domain, to: address, state, atMs }
  }
}
