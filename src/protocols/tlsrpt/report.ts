/** A day's counts of one domain as the report that its owner would get (RFC 8460 §4.4). */
import type { PolicyCount } from './day.ts'

export interface ReportFacts {
  /** The reporter. */
  readonly organization: string
  readonly contact: string
  /** As `2026-12-01`, in UTC. */
  readonly day: string
  readonly domain: string
  readonly policies: readonly PolicyCount[]
}

/** In the order and with the names of the RFC. */
export function makeReport({ organization, contact, day, domain, policies }: ReportFacts): object {
  return {
    'organization-name': organization,
    'date-range': { 'start-datetime': `${day}T00:00:00Z`, 'end-datetime': `${day}T23:59:59Z` },
    'contact-info': contact,
    'report-id': `${day}_${domain}`,
    policies: policies.map((policy) => reportPolicy(domain, policy)),
  }
}

function reportPolicy(domain: string, policy: PolicyCount): object {
  const { type, strings, exchangers, successes, failures, details } = policy
  return {
    policy: {
      'policy-type': type,
      ...(strings.length === 0 ? {} : { 'policy-string': strings }),
      'policy-domain': domain,
      // The RFC's text says a string; its example and all reporters have an array (erratum 6241).
      ...(type === 'sts' && exchangers.length > 0 ? { 'mx-host': exchangers } : {}),
    },
    summary: { 'total-successful-session-count': successes, 'total-failure-session-count': failures },
    ...(details.length === 0
      ? {}
      : {
          'failure-details': details.map((one) => ({
            'result-type': one.type,
            ...(one.ownAddress === '' ? {} : { 'sending-mta-ip': one.ownAddress }),
            ...(one.exchanger === '' ? {} : { 'receiving-mx-hostname': one.exchanger }),
            ...(one.address === '' ? {} : { 'receiving-ip': one.address }),
            'failed-session-count': one.count,
            ...(one.why === '' ? {} : { 'failure-reason-code': one.why }),
          })),
        }),
  }
}
