/** A client's host name, for its rules, its log line and its environment: looked up before it is let in, as by tcpserver.
 *  Never:  asks about this machine itself, or holds up a client for longer than policy's time limit. */
import type { PolicyClient } from '../../clients/policy/policy-client.ts'
import type { Rules } from '../../stores/tcprules/rules-file.ts'
import type { Finding } from './finding.ts'
import { isLoopback, type Known } from './peer.ts'

export type NameSource = Pick<PolicyClient, 'name'>

export interface Named {
  readonly known: Known
  readonly finding: Finding
}

/** Undefined: there is nothing to ask. */
export function nameOf(ip: string, rules: Rules, names: NameSource): Promise<Named> | undefined {
  return isLoopback(ip) ? undefined : askName(ip, goesByName(rules), names)
}

/** An address's owner may give it any name: rules see a name only if it leads back. */
export function goesByName(rules: Rules): boolean {
  return rules.kind === 'rules' && rules.base.goesByName
}

async function askName(ip: string, confirm: boolean, names: NameSource): Promise<Named> {
  const answered = await names.name({ ip, confirm })
  if (!answered.answered)
    return { known: {}, finding: { check: 'name', rule: 'policy', text: `no answer: ${answered.why}` } }
  const { name, leadsBack, rule, logText } = answered.answer
  return {
    known: name === '' ? {} : { host: name, isUnproven: !leadsBack },
    finding: { check: 'name', rule, text: logText },
  }
}
