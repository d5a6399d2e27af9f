/** What a domain and its exchangers have published about TLS, and so what is demanded of each exchanger (RFC 8461 §5).
 *  Never:  filters the exchangers beforehand: one that is not in the policy still says that we are no better than it (§8.4).
 *  Fails:  an exchanger of which nobody can tell now what is demanded, or that must not be used, is `excluded`. */
import type { ByteString } from '../../base/byte-string.ts'
import { letsIn } from '../../protocols/mta-sts/policy.ts'
import { asciiForm } from '../../system/ascii-form.ts'
import { asHostName } from '../dns/dns.ts'
import type { StsFinding, StsPolicies } from '../mta-sts/policies.ts'
import { parseLiteral } from './addresses.ts'
import type { Target } from './mail-exchangers.ts'
import { type HostPolicy, noHostPolicy } from './tls-plan.ts'

export type HostDemand =
  /** `remark`: what a policy in testing would have said; empty if nothing. */
  | { readonly kind: 'demand'; readonly policy: HostPolicy; readonly remark: string }
  /** Mail must not go there. */
  | { readonly kind: 'excluded'; readonly why: string }

export interface DomainDemands {
  /** In ASCII; empty: none is looked at (a literal, a route, or the administrator's word). */
  readonly domain: string
  readonly sts: StsFinding | undefined
  ofHost(target: Target): Promise<HostDemand>
}

export class TlsPolicies {
  private readonly sts: StsPolicies

  constructor(sts: StsPolicies) {
    this.sts = sts
  }

  /** `domain`: of the recipients. */
  async of(domain: ByteString): Promise<DomainDemands> {
    const name = parseLiteral(domain) === undefined ? asHostName(asciiForm(domain)) : undefined
    if (name === undefined) return noDemands
    const sts = await this.sts.of(name)
    return { domain: name, sts, ofHost: async (target) => demandOf(target, name, sts) }
  }
}

const nothingDemanded: HostDemand = { kind: 'demand', policy: noHostPolicy, remark: '' }

export const noDemands: DomainDemands = {
  domain: '',
  sts: undefined,
  ofHost: async () => nothingDemanded,
}

function demandOf(target: Target, domain: string, { policy }: StsFinding): HostDemand {
  if (policy === undefined || policy.mode === 'none') return nothingDemanded
  const why = letsIn(policy, target.name) ? '' : `${target.name} is not in the MTA-STS policy of ${domain}`
  if (why !== '' && policy.mode === 'enforce') return { kind: 'excluded', why }
  return { kind: 'demand', policy: { kind: 'sts', domain, mode: policy.mode }, remark: why }
}
