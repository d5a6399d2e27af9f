/** The TLS that one attempt demands of each exchanger, and the results.
 *  Knows:  when published policies count, what is counted and logged of them, what REQUIRETLS demands besides.
 *  Never:  connects. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import type { Target } from '../../clients/smtp/mail-exchangers.ts'
import type { TlsFact } from '../../clients/smtp/tls-judgement.ts'
import { type HostPolicy, planTls, type TlsPlan } from '../../clients/smtp/tls-plan.ts'
import { type DomainDemands, type HostDemand, noDemands, type TlsPolicies } from '../../clients/smtp/tls-policies.ts'
import { remoteStatus } from '../../protocols/qmail/remote-status.ts'
import type { SessionFact } from '../../protocols/tlsrpt/day.ts'
import type { Log } from '../../system/log.ts'
import type { Settings } from './settings.ts'
import { policyFailure, sessionFact } from './tls-facts.ts'
import type { WaryHosts } from './wary-hosts.ts'

export interface DemandedTlsParts {
  readonly tlsPolicies: TlsPolicies
  readonly countTls: (fact: SessionFact) => void
  /** Hosts whose TLS fails. */
  readonly clearHosts: WaryHosts
  readonly log: Log
}

type Outcome = Pick<SessionFact, 'result' | 'why' | 'ownAddress'>

export class DemandedTls {
  /** An exchanger was passed over, probably because of a published policy. */
  isRuledOut = false
  readonly requiresTls: boolean
  private readonly parts: DemandedTlsParts
  private readonly settings: Settings
  private demands: DomainDemands = noDemands
  /** The demand on the present exchanger. */
  private demand: HostDemand | undefined

  constructor(parts: DemandedTlsParts, settings: Settings, requiresTls: boolean) {
    this.parts = parts
    this.settings = settings
    this.requiresTls = requiresTls
  }

  /** `domain`: of the recipients, whose exchangers the DNS names. */
  async lookUp(domain: ByteString): Promise<void> {
    if (this.settings.heedsPolicies(domain)) this.demands = await this.parts.tlsPolicies.of(domain)
    const failure = policyFailure(this.demands)
    if (failure !== undefined) this.parts.countTls(failure)
  }

  /** From now on published policies are ignored. */
  forget(): void {
    this.demands = noDemands
  }

  /** The status if mail must not go there. */
  async policyOf(target: Target, domain: ByteString, isRouted: boolean): Promise<HostPolicy | Status> {
    const demand = await this.demands.ofHost(target)
    this.demand = demand
    if (demand.kind === 'excluded') {
      this.isRuledOut = true
      this.count(target, { result: demand.failure, why: demand.why, ownAddress: '' })
      return remoteStatus.againstPolicy(target, demand.why)
    }
    if (this.requiresTls && !isRouted && !demand.isVouchedFor)
      return remoteStatus.unvouchedExchanger(target, domain, this.demands.sts?.isUncertain === true ? 4 : 5)
    if (demand.remark !== '') this.parts.log(`warning: ${demand.remark}; the policy is in testing`)
    return demand.policy
  }

  planFor(target: Target, policy: HostPolicy, hasLogin: boolean): TlsPlan {
    const needs = { login: hasLogin, requireTls: this.requiresTls }
    const plan = planTls(target, this.settings.tlsFacts(target.name), needs, policy)
    const inClear = plan.use === 'opportunistic' && this.parts.clearHosts.has(target.address)
    return inClear ? { ...plan, use: 'never' } : plan
  }

  note(target: Target, plan: TlsPlan, { kind, why }: TlsFact, ownAddress: string): void {
    this.count(target, { result: kind, why, ownAddress })
    if (kind === 'success' || !plan.isOnlyReported) return
    const words = `${target.name} (${target.address}) is not as the MTA-STS policy of ${this.demands.domain} says`
    this.parts.log(`warning: ${words}: ${why.replace(/[^ -~]/g, '?')}; the policy is in testing`)
  }

  private count(target: Target, outcome: Outcome): void {
    if (this.demand === undefined || this.demands.domain === '') return
    this.parts.countTls(sessionFact(this.demands, this.demand, target, outcome))
  }
}
