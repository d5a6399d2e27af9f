/** What a domain and its exchangers have published about TLS, and so what is demanded of each exchanger: DANE (RFC 7672)
 *  where there is any, else MTA-STS (RFC 8461), which must not weaken it (RFC 8461 §2).
 *  Never:  filters the exchangers beforehand: one outside the policy still counts for our own preference (§8.4).
 *  Fails:  an exchanger whose demand cannot be found out now, or that must not be used, is `excluded`. */
import type { ByteString } from '../../base/byte-string.ts'
import { tlsaName, usableAmong } from '../../protocols/dane/tlsa.ts'
import { letsIn } from '../../protocols/mta-sts/policy.ts'
import { asciiForm } from '../../system/ascii-form.ts'
import { asHostName, type TlsaDns } from '../dns/dns.ts'
import type { StsFinding, StsPolicies } from '../mta-sts/policies.ts'
import { parseLiteral } from './addresses.ts'
import type { Target } from './mail-exchangers.ts'
import { type HostPolicy, noHostPolicy } from './tls-plan.ts'

export type HostDemand =
  | {
      readonly kind: 'demand'
      readonly policy: HostPolicy
      /** Why a policy in testing would exclude it; empty if it would not. */
      readonly remark: string
      /** DNSSEC or MTA-STS proves that it is an exchanger of the domain (RFC 8689 §4.2.1). */
      readonly isVouchedFor: boolean
    }
  /** Mail must not go there now. `failure`: in the words of TLS reports (RFC 8460 §4.3). */
  | { readonly kind: 'excluded'; readonly why: string; readonly failure: 'dnssec-invalid' | 'validation-failure' }

export interface DomainDemands {
  /** In ASCII; empty: what it publishes is not looked at (a literal, a route, or the administrator's word). */
  readonly domain: string
  readonly sts: StsFinding | undefined
  ofHost(target: Target): Promise<HostDemand>
}

export class TlsPolicies {
  private readonly sts: StsPolicies
  private readonly dns: TlsaDns

  constructor(sts: StsPolicies, dns: TlsaDns) {
    this.sts = sts
    this.dns = dns
  }

  /** `domain`: of the recipients. */
  async of(domain: ByteString): Promise<DomainDemands> {
    const name = parseLiteral(domain) === undefined ? asHostName(asciiForm(domain)) : undefined
    if (name === undefined) return noDemands
    const sts = await this.sts.of(name)
    return { domain: name, sts, ofHost: (target) => this.ofHost(target, name, sts) }
  }

  private async ofHost(target: Target, domain: string, sts: StsFinding): Promise<HostDemand> {
    const [dane, other] = [await this.dane(target, domain), demandOfSts(target, domain, sts)]
    if (dane === undefined) return other
    // Records none of which can be used demand TLS alone: a policy that is enforced demands more.
    const isWeak = dane.kind === 'demand' && dane.policy.kind === 'dane' && dane.policy.records.length === 0
    return isWeak && sts.policy?.mode === 'enforce' ? other : dane
  }

  /** Undefined: there are no such records, or DNSSEC does not prove them. */
  private async dane(target: Target, domain: string): Promise<HostDemand | undefined> {
    for (const host of target.secured?.tlsaHosts ?? []) {
      const name = tlsaName(target.port, host)
      const answer = await this.dns.tlsa(name)
      if (answer.kind === 'soft') {
        const why = `whether ${target.name} has TLSA records (DANE) cannot be found out now: ${answer.why}`
        return { kind: 'excluded', why, failure: 'dnssec-invalid' }
      }
      if (answer.kind !== 'found' || answer.isSecure !== true) continue
      const names = [...new Set([host, target.name, domain])]
      const policy: HostPolicy = { kind: 'dane', records: usableAmong(answer.values), names }
      return { kind: 'demand', policy, remark: '', isVouchedFor: true }
    }
    return undefined
  }
}

export const noDemands: DomainDemands = {
  domain: '',
  sts: undefined,
  ofHost: async (target) => noDemand(target),
}

function demandOfSts(target: Target, domain: string, { policy }: StsFinding): HostDemand {
  if (policy === undefined || policy.mode === 'none') return noDemand(target)
  const why = letsIn(policy, target.name) ? '' : `${target.name} is not in the MTA-STS policy of ${domain}`
  if (why !== '' && policy.mode === 'enforce') return { kind: 'excluded', why, failure: 'validation-failure' }
  const isVouchedFor = why === '' || target.secured !== undefined
  return { kind: 'demand', policy: { kind: 'sts', domain, mode: policy.mode }, remark: why, isVouchedFor }
}

function noDemand(target: Target): HostDemand {
  return { kind: 'demand', policy: noHostPolicy, remark: '', isVouchedFor: target.secured !== undefined }
}
