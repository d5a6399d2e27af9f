/** The results of TLS with other servers in one day, counted for reports (RFC 8460 §4).
 *  Knows:  what is counted together. Never: whether a session counts; asks a clock.
 *  What other hosts can make grow has limits: beyond them only the sums go on. */

/** RFC 8460 §4.3. */
export const failureTypes = [
  'starttls-not-supported',
  'certificate-host-mismatch',
  'certificate-expired',
  'certificate-not-trusted',
  'validation-failure',
  'dnssec-invalid',
  'sts-policy-fetch-error',
  'sts-policy-invalid',
  'sts-webpki-invalid',
] as const
export type FailureType = (typeof failureTypes)[number]

export const policyTypes = ['tlsa', 'sts', 'no-policy-found'] as const
export type PolicyType = (typeof policyTypes)[number]

export interface SessionFact {
  /** Of the recipients, in ASCII. */
  readonly domain: string
  readonly policyType: PolicyType
  /** The policy as it was found: lines of MTA-STS, TLSA records. */
  readonly policyStrings: readonly string[]
  /** Its name and address; empty where none was chosen. */
  readonly exchanger: string
  readonly address: string
  /** Ours; empty where there was no connection. */
  readonly ownAddress: string
  readonly result: 'success' | FailureType
  /** For a person; empty with success. */
  readonly why: string
}

export interface FailureCount {
  readonly type: FailureType
  readonly exchanger: string
  readonly address: string
  readonly ownAddress: string
  readonly why: string
  count: number
}

export interface PolicyCount {
  readonly type: PolicyType
  readonly strings: readonly string[]
  readonly exchangers: string[]
  successes: number
  failures: number
  /** Of the first so many kinds; `failures` counts all. */
  readonly details: FailureCount[]
}

const domainsMax = 5_000
/** Of one domain: a policy that changes all day, or exchangers by the hundred, are abuse. */
const policiesMax = 20
const exchangersMax = 20
const detailsMax = 50
/** Of all domains together: what a day may cost in memory and on disk is some 20 MB. */
const policiesTotalMax = 8_000
const detailsTotalMax = 10_000
const whyMax = 200
const stringsMax = 20
const stringMax = 120

export class DayCounts {
  private readonly domains = new Map<string, PolicyCount[]>()
  private policiesTotal = 0
  private detailsTotal = 0

  /** As it was kept. */
  static of(kept: Iterable<readonly [string, PolicyCount[]]>): DayCounts {
    const day = new DayCounts()
    for (const [domain, policies] of kept) {
      day.domains.set(domain, policies)
      day.policiesTotal += policies.length
      for (const { details } of policies) day.detailsTotal += details.length
    }
    return day
  }

  entries(): ReadonlyMap<string, readonly PolicyCount[]> {
    return this.domains
  }

  count(fact: SessionFact): void {
    const policy = this.policyFor(fact)
    if (policy === undefined) return
    const { exchangers } = policy
    if (fact.exchanger !== '' && !exchangers.includes(fact.exchanger) && exchangers.length < exchangersMax)
      exchangers.push(fact.exchanger)
    if (fact.result === 'success') policy.successes++
    else this.countFailure(policy, fact, fact.result)
  }

  private policyFor({ domain, policyType, policyStrings }: SessionFact): PolicyCount | undefined {
    const policies = this.domains.get(domain) ?? []
    const strings = policyStrings.slice(0, stringsMax).map((text) => text.slice(0, stringMax))
    const known = policies.find(({ type, strings: of }) => type === policyType && isSame(of, strings))
    if (known !== undefined) return known
    const isNewDomain = policies.length === 0
    if (policies.length >= policiesMax || this.policiesTotal >= policiesTotalMax) return undefined
    if (isNewDomain && this.domains.size >= domainsMax) return undefined
    const policy: PolicyCount = { type: policyType, strings, exchangers: [], successes: 0, failures: 0, details: [] }
    policies.push(policy)
    this.policiesTotal++
    if (isNewDomain) this.domains.set(domain, policies)
    return policy
  }

  private countFailure(policy: PolicyCount, fact: SessionFact, type: FailureType): void {
    policy.failures++
    const { exchanger, address, ownAddress } = fact
    const why = fact.why.slice(0, whyMax)
    const known = policy.details.find(
      (one) => one.type === type && one.exchanger === exchanger && one.address === address && one.why === why,
    )
    if (known !== undefined) known.count++
    else if (policy.details.length < detailsMax && this.detailsTotal < detailsTotalMax) {
      policy.details.push({ type, exchanger, address, ownAddress, why, count: 1 })
      this.detailsTotal++
    }
  }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, at) => text === other[at])
}
