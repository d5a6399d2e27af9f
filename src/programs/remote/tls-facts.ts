/** What a session, or its failure, counts as for TLS reports (RFC 8460), and under which policy. */
import type { Target } from '../../clients/smtp/mail-exchangers.ts'
import type { DomainDemands, HostDemand } from '../../clients/smtp/tls-policies.ts'
import { formatTlsa } from '../../protocols/dane/tlsa.ts'
import type { SessionFact } from '../../protocols/tlsrpt/day.ts'

/** The fact of a session under `demand`. */
export function sessionFact(
  demands: DomainDemands,
  demand: HostDemand,
  { name, address }: Target,
  outcome: Pick<SessionFact, 'result' | 'why' | 'ownAddress'>,
): SessionFact {
  return { domain: demands.domain, ...policyOf(demands, demand), exchanger: name, address, ...outcome }
}

/** Undefined: the domain has no policy, or it could be fetched. */
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
