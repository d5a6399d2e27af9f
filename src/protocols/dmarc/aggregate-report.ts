/** What an aggregate report says (RFC 9990, and RFC 7489 before it): of one domain, for some time, how many messages came
 *  from where, and whether they passed. */

export const reportedDispositions = ['none', 'quarantine', 'reject'] as const
export type ReportedDisposition = (typeof reportedDispositions)[number]

export interface AggregateReport {
  /** The reporter's name, and the address where it can be asked. */
  readonly organization: string
  readonly contact: string
  readonly id: string
  /** Seconds since 1970. */
  readonly begin: number
  readonly end: number
  /** At which the policy was found; in lower case. */
  readonly domain: string
  /** p= as the reporter saw it; empty if the report does not say. */
  readonly policy: string
  /** Rows that differ only in `count` and `found` are merged. */
  readonly rows: readonly ReportedRow[]
}

export interface ReportedRow {
  readonly ip: string
  readonly count: number
  readonly disposition: ReportedDisposition
  /** Whether a signature, and whether SPF, was good and aligned. */
  readonly dkim: boolean
  readonly spf: boolean
  readonly from: string
  /** Why the disposition is not what the policy says; types of RFC 9990. */
  readonly reasons: readonly string[]
  /** What was found whether aligned or not: `dkim=pass example.org`, `spf=fail mail.example`; of the first message. */
  readonly found: readonly string[]
}

export function isAligned({ dkim, spf }: Pick<ReportedRow, 'dkim' | 'spf'>): boolean {
  return dkim || spf
}
