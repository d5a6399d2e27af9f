/** What a session, or that there is none, means for the counts of TLS (RFC 8460): which policy it was held to. */
import type { Target } from '../../clients/smtp/mail-exchangers.ts'
import type { DomainDemands, HostDemand } from '../../clients/smtp/tls-policies.ts'
import { formatTlsa } from '../../protocols/dane/tlsa.ts'
import type { SessionFact } from '../../protocols/tlsrpt/day.ts'

/** Held to `demand`. */
export function sessionFact(
  demands: DomainDemands,
  demand: HostDemand,
  { name, address }: Target,
  outcome: Pick<SessionFact, 'result' | 'why' | 'ownAddress'>,
): SessionFact {
  return { domain: demands.domain, ...policyOf(demands, demand), exchanger: name, address, ...outcome }
}

/** Undefined: the domain has a policy that could be had, or none. */
export function policyFailure({ domain, sts }: DomainDemands): SessionFact | undefined {
  if (sts?.trouble === undefined) return undefined
  const { type: result, why } = sts.trouble
  const nowhere = { exchanger: '', address: '', ownAddress: '' }
  return { domain, policyType: 'sts', policyStrings: [], ...nowhere, result, why }
}

function policyOf({ sts }: DomainDemands, demand: HostDemand): Pick<SessionFact, 'policyType' | 'policyStrings'> {
  const ofSts = { policyType: 'sts', policyStrings: linesOf(sts?.text ?? '') } as const
  if (demand.kind === 'excluded')
    return demand.failure === 'dnssec-invalid' ? { policyType: 'tlsa', policyStrings: [] } : ofSts
  const { policy } = demand
  if (policy.kind === 'sts') return ofSts
  if (policy.kind === 'none') return { policyType: 'no-policy-found', policyStrings: [] }
  return { policyType: 'tlsa', policyStrings: policy.records.map(formatTlsa) }
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '')
}
