/** What the rules of a service say about a peer, or the defaults without rules. The listener, `quaver smtp explain` and `quaver
 *  rules check` all use it.
 *  Fails:  rules that cannot be read admit no peer (`unknown`), as tcpserver drops connections then. */
import { relayServices, type RulesName, services } from '../../contracts/services.ts'
import { type ByteString, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Variables, Verdict } from '../../protocols/qmail/tcprules.ts'
import { networkOf } from '../../protocols/qmail/ip-key.ts'
import { decideByRules, type RulePeer } from '../../protocols/qmail/tcprules-lookup.ts'
import type { Rules } from './rules-file.ts'

export interface ConnectionDecision {
  readonly verdict: Verdict | 'unknown'
  readonly variables: Variables
  /** Key of the deciding rule in the cdb; undefined: none decided. */
  readonly key: ByteString | undefined
  readonly check: 'tcprules'
  /** File and rule, for people. */
  readonly rule: string
  /** One line for the log. */
  readonly text: string
}

/** For strangers, in seconds. */
const defaultGreetDelay = '2'
const relay: Variables = [['RELAYCLIENT', '']]
const stranger: Variables = [['GREETDELAY', defaultGreetDelay]]
const nobody: Variables = []
/** Passwords are taken only in TLS. */
const tlsNeeded: Variables = [['UCSPITLS', '!']]

/** Used if control/relayclients is absent. */
export const defaultRelayClients: readonly string[] = ['127.0.0.0/8', '::1']

/** `mayRelay`: control/relayclients lists the peer; it counts only without rules. */
export function decideConnection(
  service: RulesName,
  rules: Rules,
  peer: RulePeer,
  client: { readonly mayRelay: boolean; readonly isLoopback: boolean },
): ConnectionDecision {
  if (rules.kind === 'broken') return unknown(service, rules.problem)
  if (rules.kind === 'absent') return byDefault(service, client)
  try {
    const { key, verdict, variables } = decideByRules(rules.base, peer)
    const rule = key === undefined ? `${rules.name} (no rule)` : `${rules.name} ${networkOf(key) ?? toText(key)}:`
    return decision(verdict, variables, rule, key)
  } catch (error) {
    return unknown(service, `${rules.name}.cdb: ${describeError(error)}`)
  }
}

function byDefault(
  service: RulesName,
  { mayRelay, isLoopback }: { readonly mayRelay: boolean; readonly isLoopback: boolean },
): ConnectionDecision {
  const rule = `default, no control/tcprules/${service}`
  const isForRelays = relayServices.some((name) => services[name].rules === service)
  if (service !== 'smtp' && !isForRelays) return decision('allow', tlsNeeded, rule)
  if (mayRelay) return decision('allow', relay, 'control/relayclients')
  if (isForRelays) return decision('deny', nobody, rule)
  return decision('allow', isLoopback ? nobody : stranger, rule)
}

function decision(verdict: Verdict, variables: Variables, rule: string, key?: ByteString): ConnectionDecision {
  return { verdict, variables, key, check: 'tcprules', rule, text: textOf(verdict, variables) }
}

/** Keyed by variables: every connection needs the text, and a default's variables are always the same object. */
const texts = new WeakMap<Variables, string>()

function textOf(verdict: Verdict, variables: Variables): string {
  const known = texts.get(variables)
  if (known !== undefined) return known
  const settings = variables.map(([name, value]) => `${toText(name)}=${JSON.stringify(toText(value))}`)
  const text = [verdict, ...settings].join(' ')
  texts.set(variables, text)
  return text
}

function unknown(service: RulesName, problem: string): ConnectionDecision {
  const rule = `control/tcprules/${service}`
  return { verdict: 'unknown', variables: [], key: undefined, check: 'tcprules', rule, text: problem }
}
