/** Which filters a session's messages pass, and who takes them then: control/ofmipfilters, or what the rules of the
 *  listener (control/tcprules/ofmip) say with QMAILQUEUE and its kin. Whatever it is runs as the one who sends.
 *  Fails:  an Outcome: rules or lists that cannot be read, and nobody is served. */
import { resolve as resolvePath } from 'node:path'
import type { ByteString } from '../../../base/byte-string.ts'
import { done, failed, type Outcome, transient } from '../../../base/outcome.ts'
import { planFilters } from '../../../clients/queue/filter-chain.ts'
import type { Variables } from '../../../protocols/qmail/tcprules.ts'
import { isLoopback } from '../../../servers/listener/peer.ts'
import { controlBytesMax } from '../../../stores/control/control.ts'
import { decideConnection } from '../../../stores/tcprules/decision.ts'
import { readSmallFile } from '../../../system/files.ts'
import type { GrantedSession } from '../session.ts'
import type { SubmissionTools } from './tools.ts'
import { environmentOf, knownOf } from './trace.ts'

/** Ours is on every message already. */
const tlsFilter = 'qmail-qfilter-addtlsheader'
/** They say how a message goes into the queue and how TLS is had, and are nothing to a program that is asked on the way. */
const usedVariables = ['QMAILQUEUE', 'QMAILQUEUEFILTERS', 'QQF_QMAILQUEUE', 'UCSPITLS', 'DISABLETLS'] as const

export interface SubmissionPlan {
  readonly filters: readonly ByteString[]
  /** Empty: our queue. */
  readonly queueProgram: ByteString
  readonly environment: ReadonlyMap<string, string>
}

export function planSubmission(session: GrantedSession, tools: SubmissionTools): Outcome<SubmissionPlan> {
  const { control, homePath } = tools
  const variables = variablesFor(session, tools)
  if (!variables.done) return variables
  const environment = environmentOf(session, control.optionalLine('me'), variables.value)
  const listed = control.list('ofmipfilters') ?? []
  const plan = planFilters(environment, listed, 'ofmipfilters', (name) =>
    readSmallFile(resolvePath(homePath, name), controlBytesMax),
  )
  if (!plan.done) return plan
  for (const name of usedVariables) environment.delete(name)
  const filters = plan.value.filters.filter((name) => !name.endsWith(tlsFilter))
  return done({ filters, queueProgram: plan.value.queueProgram, environment })
}

/** The front has let this client in by the same rules. */
function variablesFor({ grant, facts }: GrantedSession, { rules }: SubmissionTools): Outcome<Variables> {
  const ip = grant.peer.remoteIp
  const client = { mayRelay: false, isLoopback: isLoopback(ip) }
  const peer = { ip, ...knownOf(facts) }
  const { verdict, variables, text } = decideConnection('ofmip', rules.current(), peer, client)
  return verdict === 'unknown' ? failed(transient('3.0', 'unable to read controls', text)) : done(variables)
}
