/** How a report is named, in the same form for DMARC (RFC 9990 §3.5.1) and TLS (RFC 8460 §5.1, §5.3). */

export interface ReportName {
  /** Domain of the reporter. */
  readonly submitter: string
  /** Domain that the report is about. */
  readonly domain: string
  /** Seconds since 1970. */
  readonly begin: number
  readonly end: number
  readonly id: string
}

/** `extension`: as `xml.gz`. */
export function reportFileName({ submitter, domain, begin, end, id }: ReportName, extension: string): string {
  return `${[submitter, domain, begin, end, id].join('!')}.${extension}`
}

export function reportSubject({ submitter, domain, id }: ReportName): string {
  return `Report Domain: ${domain} Submitter: ${submitter} Report-ID: <${id}>`
}
