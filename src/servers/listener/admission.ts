/** Whether a peer may connect, and the environment that its session has: control/tcprules decides if it has rules for the
 *  service; else control/relayclients says who may relay, and strangers wait for the greeting. */
import type { RulesName } from '../../contracts/services.ts'
import { parseSeconds } from '../../protocols/qmail/quantity.ts'
import { type ConnectionDecision, decideConnection } from '../../stores/tcprules/decision.ts'
import type { Rules } from '../../stores/tcprules/rules-file.ts'
import type { Finding } from './finding.ts'
import { baseEnvironment, type Environment, type Host, isLoopback, type Known, type Peer } from './peer.ts'

export interface Admission {
  /** `unknown`: the rules cannot be read; the peer is not let in, and may try again later. */
  readonly verdict: ConnectionDecision['verdict']
  readonly environment: Environment
  readonly finding: Finding
}

/** By the rules of smtp. */
export function admit(peer: Peer, host: Host, rules: Rules, known: Known = {}): Admission {
  return admitTo('smtp', peer, host, rules, known)
}

export function admitTo(service: RulesName, peer: Peer, host: Host, rules: Rules, known: Known = {}): Admission {
  const ip = peer.remoteIp
  const client = { mayRelay: host.mayRelay(ip), isLoopback: isLoopback(ip) }
  const seen = { ip, info: known.info, host: known.isUnproven === true ? undefined : known.host }
  const { verdict, variables, check, rule, text } = decideConnection(service, rules, seen, client)
  const environment = new Map(baseEnvironment(peer, host, known))
  for (const [name, value] of variables) environment.set(name, value)
  return { verdict, environment, finding: { check, rule, text } }
}

/** Milliseconds before the greeting: GREETDELAY, for clients that may not relay. */
export function greetDelay(environment: Environment, secondsMax: number): number {
  if (environment.has('RELAYCLIENT')) return 0
  return Math.min(parseSeconds(environment.get('GREETDELAY') ?? '') ?? 0, secondsMax) * 1000
}
