/** HOME/reports/dmarc/evaluated.db: results of evaluated messages, by day and by the domain whose policy applied, until they
 *  are reported; the reports sent; and the domains that mail of ours has gone to.
 *  Knows:  bounds on everything; days are those of UTC, counted since 1970. Never: decides who gets a report.
 *  Fails:  throws SmallDatabaseError. A damaged file is set aside as evaluated.db.damaged (one is kept) and begun afresh: only
 *          reports are lost. */
import { join } from 'node:path'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { EvaluatedRow, PublishedPolicy } from '../../protocols/dmarc/report-writer.ts'
import { type DatabaseForm, guarded, openKeptStore } from '../../system/small-database.ts'

export interface Evaluations {
  readonly day: number
  readonly published: PublishedPolicy
  /** rua of the record. */
  readonly reportsTo: string
  readonly row: EvaluatedRow
  readonly messages: number
  /** Of them, those that a report may be sent for: no bounces, no reports. */
  readonly triggers: number
}

export interface DomainDay {
  readonly day: number
  readonly domain: string
  readonly published: PublishedPolicy
  readonly reportsTo: string
  readonly reportId: string
  readonly messages: number
  readonly triggers: number
  /** Not kept: there was no room. */
  readonly leftOut: number
}

export interface SentReport {
  /** In the Message-ID; nobody but who got the report knows it. */
  readonly token: string
  readonly day: number
  readonly domain: string
  readonly address: string
  /** `begun`: nobody knows whether it is in the queue. */
  readonly state: 'begun' | 'queued' | 'failed'
  readonly atMs: number
}

export interface StoreLimits {
  readonly rowsPerDomainDay: number
  readonly rows: number
  readonly correspondents: number
}

const usualLimits: StoreLimits = { rowsPerDomainDay: 5_000, rows: 300_000, correspondents: 100_000 }
/** What was not reported by then is history. */
const rowDaysMax = 4
const sentDaysMax = 45
const correspondentDays = 30

/** "QuRe". */
const form: DatabaseForm = {
  applicationId: 0x51755265,
  version: 1,
  schema: `
  CREATE TABLE domain_day (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    published TEXT NOT NULL,
    reports_to TEXT NOT NULL,
    report_id TEXT NOT NULL,
    messages INTEGER NOT NULL,
    triggers INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    left_out INTEGER NOT NULL,
    PRIMARY KEY (day, domain)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE evaluated (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    facts TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (day, domain, facts)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sent (
    token TEXT PRIMARY KEY,
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    address TEXT NOT NULL,
    state TEXT NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE suppressed (address TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE correspondent (name TEXT PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;`,
}

export class EvaluationStore {
  private readonly database: DatabaseSync
  private readonly limits: StoreLimits
  private rowCount: number

  /** Use `open`. */
  constructor(database: DatabaseSync, limits: StoreLimits) {
    this.database = database
    this.limits = limits
    this.rowCount = this.count('evaluated')
  }

  /** Opens or creates it. `onDamage` is told where a damaged file went. */
  static open(directory: string, onDamage: (text: string) => void, limits: StoreLimits = usualLimits): EvaluationStore {
    const use = (database: DatabaseSync): EvaluationStore => new EvaluationStore(database, limits)
    const lost = 'what was to be reported is lost'
    return openKeptStore({ path: join(directory, 'evaluated.db'), form, lost, use }, onDamage)
  }

  close(): void {
    guard(() => this.database.close())
  }

  /** All or none. `newId` makes the id of a report. */
  add(evaluations: Iterable<Evaluations>, newId: () => string): void {
    guard(() => {
      this.database.exec('BEGIN')
      try {
        for (const one of evaluations) this.addOne(one, newId)
        this.database.exec('COMMIT')
      } catch (error) {
        this.database.exec('ROLLBACK')
        this.rowCount = this.count('evaluated')
        throw error
      }
    })
  }

  /** What is to be reported, the oldest first. */
  domainDays(beforeDay: number, most: number): DomainDay[] {
    const sql = 'SELECT * FROM domain_day WHERE day < ? ORDER BY day, domain LIMIT ?'
    return guard(() => this.database.prepare(sql).all(beforeDay, most)).map((row) => ({
      day: Number(row['day']),
      domain: String(row['domain']),
      published: JSON.parse(String(row['published'])) as PublishedPolicy,
      reportsTo: String(row['reports_to']),
      reportId: String(row['report_id']),
      messages: Number(row['messages']),
      triggers: Number(row['triggers']),
      leftOut: Number(row['left_out']),
    }))
  }

  *rows({ day, domain }: Pick<DomainDay, 'day' | 'domain'>): Generator<readonly [EvaluatedRow, number]> {
    const sql = 'SELECT facts, messages FROM evaluated WHERE day = ? AND domain = ? ORDER BY messages DESC'
    for (const row of guard(() => this.database.prepare(sql).all(day, domain)))
      yield [JSON.parse(String(row['facts'])) as EvaluatedRow, Number(row['messages'])]
  }

  /** Removes the rows of a day that is reported, or never will be. */
  forget({ day, domain }: Pick<DomainDay, 'day' | 'domain'>): void {
    guard(() => {
      const { changes } = this.database.prepare('DELETE FROM evaluated WHERE day = ? AND domain = ?').run(day, domain)
      this.rowCount -= Number(changes)
      this.database.prepare('DELETE FROM domain_day WHERE day = ? AND domain = ?').run(day, domain)
    })
  }

  /** Replaces one with the same token. */
  note({ token, day, domain, address, state, atMs }: SentReport): void {
    const sql = 'INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?, ?, ?)'
    guard(() => this.database.prepare(sql).run(token, day, domain, address, state, atMs))
  }

  /** The last first. */
  sent(sinceMs: number): SentReport[] {
    const sql = 'SELECT * FROM sent WHERE at_ms >= ? ORDER BY at_ms DESC LIMIT 20000'
    return guard(() => this.database.prepare(sql).all(sinceMs)).map(sentReport)
  }

  sentAbout({ day, domain }: Pick<DomainDay, 'day' | 'domain'>): SentReport[] {
    const sql = 'SELECT * FROM sent WHERE day = ? AND domain = ?'
    return guard(() => this.database.prepare(sql).all(day, domain)).map(sentReport)
  }

  sentReport(token: string): SentReport | undefined {
    const row = guard(() => this.database.prepare('SELECT * FROM sent WHERE token = ?').get(token))
    return row === undefined ? undefined : sentReport(row)
  }

  suppress(address: string, untilMs: number): void {
    guard(() => this.database.prepare('INSERT OR REPLACE INTO suppressed VALUES (?, ?)').run(address, untilMs))
  }

  isSuppressed(address: string, nowMs: number): boolean {
    const sql = 'SELECT 1 FROM suppressed WHERE address = ? AND until_ms > ?'
    return guard(() => this.database.prepare(sql).get(address, nowMs)) !== undefined
  }

  /** Notes that mail of ours has gone to these domains. */
  meet(domains: Iterable<string>, day: number): void {
    const sql = 'INSERT INTO correspondent VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET day = excluded.day'
    guard(() => {
      const put = this.database.prepare(sql)
      for (const domain of domains) put.run(fromTheTop(domain), day)
      const tooMany = this.count('correspondent') - this.limits.correspondents
      if (tooMany > 0)
        this.database
          .prepare('DELETE FROM correspondent WHERE name IN (SELECT name FROM correspondent ORDER BY day LIMIT ?)')
          .run(tooMany)
    })
  }

  /** Mail of ours has gone to it, or to a name below it, in the last 30 days. */
  isKnown(domain: string, today: number): boolean {
    const sql = 'SELECT 1 FROM correspondent WHERE name >= ? AND name < ? AND day > ? LIMIT 1'
    const name = fromTheTop(domain)
    // `/` is the character after `.`, so the range holds every name with this prefix.
    const end = `${name.slice(0, -1)}/`
    return guard(() => this.database.prepare(sql).get(name, end, today - correspondentDays)) !== undefined
  }

  /** Removes what is too old, or of a future day, written while the clock was wrong. */
  prune(today: number): void {
    const sentBefore = (today - sentDaysMax) * 86_400_000
    guard(() => {
      for (const table of ['evaluated', 'domain_day'])
        this.database.prepare(`DELETE FROM ${table} WHERE day < ? OR day > ?`).run(today - rowDaysMax, today)
      const wrong = (today + 1) * 86_400_000
      this.database.prepare('DELETE FROM sent WHERE at_ms < ? OR at_ms > ?').run(sentBefore, wrong)
      this.database.prepare('DELETE FROM suppressed WHERE until_ms < ?').run(today * 86_400_000)
      this.database.prepare('UPDATE correspondent SET day = ? WHERE day > ?').run(today, today)
      this.database.prepare('DELETE FROM correspondent WHERE day <= ?').run(today - correspondentDays)
      this.rowCount = this.count('evaluated')
    })
  }

  private addOne({ day, published, reportsTo, row, messages, triggers }: Evaluations, newId: () => string): void {
    const { domain } = published
    const facts = JSON.stringify(row)
    // The last DMARC record of the day is the one in the report.
    const head = this.database
      .prepare(
        `INSERT INTO domain_day VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT (day, domain) DO UPDATE SET
         published = excluded.published, reports_to = excluded.reports_to,
         messages = messages + excluded.messages, triggers = triggers + excluded.triggers RETURNING row_count`,
      )
      .get(day, domain, JSON.stringify(published), reportsTo, newId(), messages, triggers)
    const where = 'WHERE day = ? AND domain = ?'
    const update = this.database.prepare(`UPDATE evaluated SET messages = messages + ? ${where} AND facts = ?`)
    if (Number(update.run(messages, day, domain, facts).changes) > 0) return
    if (Number(head?.['row_count']) >= this.limits.rowsPerDomainDay || this.rowCount >= this.limits.rows) {
      this.database.prepare(`UPDATE domain_day SET left_out = left_out + ? ${where}`).run(messages, day, domain)
      return
    }
    this.database.prepare('INSERT INTO evaluated VALUES (?, ?, ?, ?)').run(day, domain, facts, messages)
    this.database.prepare(`UPDATE domain_day SET row_count = row_count + 1 ${where}`).run(day, domain)
    this.rowCount++
  }

  private count(table: 'evaluated' | 'correspondent'): number {
    return Number(this.database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n'] ?? 0)
  }
}

/** `org.example.mail.`: names below a domain have it as a prefix. */
function fromTheTop(domain: string): string {
  return `${domain.split('.').toReversed().join('.')}.`
}

function sentReport(row: Readonly<Record<string, SQLOutputValue>>): SentReport {
  const { token, day, domain, address, state, at_ms: atMs } = row
  return {
    token: String(token),
    day: Number(day),
    domain: String(domain),
    address: String(address),
    state: state === 'queued' || state === 'failed' ? state : 'begun',
    atMs: Number(atMs),
  }
}

function guard<T>(act: () => T): T {
  return guarded('evaluated.db', act)
}
