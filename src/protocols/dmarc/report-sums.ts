/** Aggregate reports as a person wants them: of a domain, which addresses sent in its name, how many messages, and what
 *  spoke for them. */
import { type AggregateReport, isAligned, type ReportedDisposition } from './aggregate-report.ts'

export interface DomainSums {
  readonly domain: string
  readonly reports: number
  /** The domains that are proven to have sent them. */
  readonly reporters: readonly string[]
  /** Seconds since 1970: of the first report, and of the last. */
  readonly begin: number
  readonly end: number
  readonly messages: number
  readonly aligned: number
  /** What must be looked after first: most that is not aligned, then most that is. */
  readonly sources: readonly SourceSums[]
}

export interface SourceSums {
  readonly ip: string
  readonly messages: number
  /** By DKIM, by SPF, by one of them. */
  readonly dkim: number
  readonly spf: number
  readonly aligned: number
  readonly dispositions: Readonly<Record<ReportedDisposition, number>>
  /** Of messages that were not aligned: what was found instead, and in From. */
  readonly found: readonly string[]
  readonly from: readonly string[]
}

/** Of what is found, so many examples are kept of a source. */
const examplesMax = 5

type Growing<T> = { -readonly [K in keyof T]: T[K] extends readonly string[] ? Set<string> : T[K] }

export class ReportSums {
  private readonly domains = new Map<
    string,
    Growing<Omit<DomainSums, 'sources'>> & { readonly sources: Map<string, Growing<SourceSums>> }
  >()

  add(report: AggregateReport, reporter: string): void {
    const { domain, begin, end } = report
    const sums = this.domains.get(domain) ?? {
      domain,
      reports: 0,
      reporters: new Set(),
      begin,
      end,
      messages: 0,
      aligned: 0,
      sources: new Map<string, Growing<SourceSums>>(),
    }
    this.domains.set(domain, sums)
    sums.reports++
    sums.reporters.add(reporter)
    sums.begin = Math.min(sums.begin, begin)
    sums.end = Math.max(sums.end, end)
    for (const row of report.rows) {
      const { ip, count } = row
      const source = sums.sources.get(ip) ?? newSource(ip)
      sums.sources.set(ip, source)
      const aligned = isAligned(row) ? count : 0
      sums.messages += count
      sums.aligned += aligned
      source.messages += count
      source.aligned += aligned
      source.dkim += row.dkim ? count : 0
      source.spf += row.spf ? count : 0
      source.dispositions = { ...source.dispositions, [row.disposition]: source.dispositions[row.disposition] + count }
      if (aligned > 0) continue
      for (const one of row.found) if (source.found.size < examplesMax) source.found.add(one)
      if (row.from !== '' && source.from.size < examplesMax) source.from.add(row.from)
    }
  }

  /** The domain with most messages first. */
  sums(): DomainSums[] {
    return [...this.domains.values()]
      .map((one) => ({
        ...one,
        reporters: [...one.reporters].toSorted(),
        sources: [...one.sources.values()]
          .map((source) => ({ ...source, found: [...source.found], from: [...source.from] }))
          .toSorted((a, b) => b.messages - b.aligned - (a.messages - a.aligned) || b.messages - a.messages),
      }))
      .toSorted((a, b) => b.messages - a.messages || (a.domain < b.domain ? -1 : 1))
  }
}

function newSource(ip: string): Growing<SourceSums> {
  return {
    ip,
    messages: 0,
    dkim: 0,
    spf: 0,
    aligned: 0,
    dispositions: { none: 0, quarantine: 0, reject: 0 },
    found: new Set(),
    from: new Set(),
  }
}
