/** The MTA-STS policy of a domain that mail goes to (RFC 8461 §3.3, §5): the one that is kept, or a new one.
 *  Knows:  when a policy is good, when it is fetched again, how long a failure is remembered; callers that ask at once share
 *          one fetch. A kept policy that is still good holds, whatever becomes of its record or its web server.
 *  Never:  what is done with a policy.
 *  Fails:  never; what went wrong stands beside the finding. Without a kept policy every trouble means that there is none. */
import { FreshMap } from '../../base/fresh-map.ts'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { parsePolicy, policyIdAmong, type StsPolicy } from '../../protocols/mta-sts/policy.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { Answer } from '../dns/dns.ts'
import { type FetchedPolicy, fetchPolicy, type PolicyFailure, type PolicyWeb } from './fetch-policy.ts'

/** As a store keeps it. */
export interface StoredPolicy {
  readonly id: string
  readonly fetchedAt: number
  readonly usedAt: number
  readonly text: ByteString
}

export interface PolicyStore {
  read(domain: string): Promise<StoredPolicy | undefined>
  write(domain: string, kept: StoredPolicy): Promise<void>
}

export interface StsPolicyParts {
  readonly store: PolicyStore
  readonly web: PolicyWeb
  txt(name: string): Promise<Answer<ByteString>>
  readonly clock: Clock
  readonly log: Log
}

export interface StsFinding {
  /** Undefined: mail goes as if there were none. */
  readonly policy: StsPolicy | undefined
  /** As it was fetched. */
  readonly text: ByteString
  /** The id in the present DNS record. */
  readonly id: string | undefined
  /** The policy was kept, and is not the one of that record. */
  readonly isKept: boolean
  /** Milliseconds since 1970; 0 without a policy. */
  readonly goodUntil: number
  /** Whether the domain has one could not be found out now. */
  readonly isUncertain: boolean
  readonly trouble: { readonly why: string; readonly type: PolicyFailure } | undefined
}

const dayMilliseconds: number = 24 * 60 * 60_000
/** §3.3: a fetch that failed is tried again no sooner. */
const failureMilliseconds: number = 5 * 60_000
const failuresMax = 10_000
/** At least, whatever max_age says: not every message shall fetch it. */
const goodMillisecondsMin: number = failureMilliseconds
/** How many domains' policies are at hand without a look at the disk. */
const atHandMax = 1_000

interface AtHand {
  readonly stored: StoredPolicy
  readonly policy: StsPolicy
  readonly goodUntil: number
}

export class StsPolicies {
  private readonly parts: StsPolicyParts
  private readonly atHand = new FreshMap<AtHand>(atHandMax)
  /** By domain and id. */
  private readonly failures = new FreshMap<Extract<FetchedPolicy, { kind: 'failed' }>>(failuresMax)
  private readonly fetching = new Map<string, Promise<FetchedPolicy>>()

  constructor(parts: StsPolicyParts) {
    this.parts = parts
  }

  /** `domain`: of the recipients, as asHostName gives it. */
  async of(domain: string): Promise<StsFinding> {
    const [kept, record] = await Promise.all([this.kept(domain), this.parts.txt(`_mta-sts.${domain}`)])
    const id = record.kind === 'found' ? policyIdAmong(record.values) : undefined
    if (id === undefined)
      return {
        ...finding(kept, undefined, kept !== undefined),
        isUncertain: record.kind === 'soft' && kept === undefined,
      }
    if (kept?.stored.id === id) {
      this.noteUse(domain, kept)
      return finding(kept, id, false)
    }
    const fetched = await this.fetch(domain, id)
    if (fetched.kind === 'failed')
      return { ...finding(kept, id, kept !== undefined), isUncertain: kept === undefined, trouble: fetched }
    return finding(await this.keep(domain, id, fetched, this.now()), id, false)
  }

  /** Fetches a policy that was not fetched for a day (§3.3: lest an attacker block it until it expires). True: the policy is
   *  good for longer now. */
  async refresh(domain: string): Promise<boolean> {
    const kept = await this.kept(domain)
    if (kept === undefined || this.now() - kept.stored.fetchedAt < dayMilliseconds) return false
    const record = await this.parts.txt(`_mta-sts.${domain}`)
    const id = record.kind === 'found' ? policyIdAmong(record.values) : undefined
    if (id === undefined) return false
    const fetched = await this.fetch(domain, id)
    if (fetched.kind === 'policy') await this.keep(domain, id, fetched, kept.stored.usedAt)
    return fetched.kind === 'policy'
  }

  private async kept(domain: string): Promise<AtHand | undefined> {
    const now = this.now()
    const known = this.atHand.get(domain, this.parts.clock.monotonic())
    if (known !== undefined) return known.goodUntil > now ? known : undefined
    const stored = await this.read(domain)
    const parsed = stored === undefined ? undefined : parsePolicy(stored.text)
    if (stored === undefined || parsed?.kind !== 'policy') return undefined
    return this.put(domain, stored, parsed.policy)
  }

  private async read(domain: string): Promise<StoredPolicy | undefined> {
    try {
      return await this.parts.store.read(domain)
    } catch (error) {
      this.parts.log(`warning: the kept MTA-STS policy of ${domain} cannot be read: ${describeError(error)}`)
      return undefined
    }
  }

  /** Undefined if it is too old. A fetch in the future (the clock was set back) counts as one of now. */
  private put(domain: string, stored: StoredPolicy, policy: StsPolicy): AtHand | undefined {
    const now = this.now()
    const goodUntil = Math.min(stored.fetchedAt, now) + Math.max(policy.maxAgeSeconds * 1000, goodMillisecondsMin)
    if (goodUntil <= now) return undefined
    const atHand = { stored, policy, goodUntil }
    this.atHand.set(domain, atHand, this.parts.clock.monotonic() + dayMilliseconds)
    return atHand
  }

  /** The store is told once a day, which is often enough to know what is used at all. */
  private noteUse(domain: string, { stored, policy }: AtHand): void {
    if (this.now() - stored.usedAt < dayMilliseconds) return
    const used = { ...stored, usedAt: this.now() }
    this.put(domain, used, policy)
    void this.write(domain, used)
  }

  private async fetch(domain: string, id: string): Promise<FetchedPolicy> {
    const key = `${domain} ${id}`
    const failed = this.failures.get(key, this.parts.clock.monotonic())
    if (failed !== undefined) return failed
    const underWay = this.fetching.get(key)
    if (underWay !== undefined) return await underWay
    const fetching = fetchPolicy(domain, this.parts.web)
    this.fetching.set(key, fetching)
    const fetched = await fetching
    this.fetching.delete(key)
    if (fetched.kind === 'failed') {
      this.failures.set(key, fetched, this.parts.clock.monotonic() + failureMilliseconds)
      this.parts.log(`warning: no MTA-STS policy of ${domain}: ${fetched.why.replace(/[^ -~]/g, '?')}`)
    }
    return fetched
  }

  private async keep(
    domain: string,
    id: string,
    { policy, text }: Extract<FetchedPolicy, { kind: 'policy' }>,
    usedAt: number,
  ): Promise<AtHand | undefined> {
    const now = this.now()
    const known = this.atHand.get(domain, this.parts.clock.monotonic())
    // Another caller of the same fetch has kept it already.
    if (known?.stored.id === id && now - known.stored.fetchedAt < failureMilliseconds) return known
    const stored = { id, fetchedAt: now, usedAt, text }
    const atHand = this.put(domain, stored, policy)
    if (known?.stored.id !== id) this.parts.log(`MTA-STS policy of ${domain}: ${policy.mode}, id ${id}`)
    await this.write(domain, stored)
    return atHand
  }

  private async write(domain: string, stored: StoredPolicy): Promise<void> {
    try {
      await this.parts.store.write(domain, stored)
    } catch (error) {
      // It holds as long as this process does.
      this.parts.log(`warning: the MTA-STS policy of ${domain} cannot be kept: ${describeError(error)}`)
    }
  }

  private now(): number {
    return this.parts.clock.now()
  }
}

function finding(kept: AtHand | undefined, id: string | undefined, isKept: boolean): StsFinding {
  const { policy, goodUntil = 0, stored } = kept ?? {}
  return { policy, text: stored?.text ?? '', id, isKept, goodUntil, isUncertain: false, trouble: undefined }
}
