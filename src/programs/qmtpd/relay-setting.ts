/** The setting of a QMTP or QMQP connection, from the present control files and the environment of its rules. */
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import { enqueuerForPlan, type FilterTools, planFilters } from '../../clients/queue/filter-chain.ts'
import { OwnResultsEnqueuer } from '../../clients/queue/own-results-enqueuer.ts'
import { noParams, relayedParam } from '../../contracts/envelope.ts'
import type { RelayService } from '../../contracts/services.ts'
import { parseBytes } from '../../protocols/qmail/quantity.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import { relayerIn } from '../../servers/listener/relayer.ts'
import type { Control } from '../../stores/control/control.ts'
import { ownResults } from '../../stores/control/own-results.ts'
import { realClock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { SocketOwners } from '../../system/socket-owners.ts'
import type { RelaySetting } from './dialogue.ts'
import { limits } from './limits.ts'

export interface RelayParts {
  readonly form: RelayService
  readonly control: Control
  readonly log: Log
  readonly filterTools: FilterTools
  readonly owners: SocketOwners
}

/** `variables`: the environment of this process, whose QMAILQUEUE serves clients without one of their own. */
export function relaySetting(
  { form, control, log, filterTools, owners }: RelayParts,
  environment: Environment,
  variables: Readonly<Record<string, string | undefined>>,
): RelaySetting {
  const program = environment.get('QMAILQUEUE') ?? variables['QMAILQUEUE']
  const whole = program === undefined ? environment : new Map(environment).set('QMAILQUEUE', program)
  const tellRemoved = (fields: number): void => log(`auth: ${fields} Authentication-Results in our name taken out`)
  return {
    form,
    environment,
    limits,
    clock: realClock,
    log,
    databytes: databytesOf(environment, control),
    // As smtpd says it: such mail is signed, and its slots count for the client.
    params: mayRelay(form, environment) ? new Map([[relayedParam, relayerIn(environment, owners)]]) : noParams,
    enqueuer: new OwnResultsEnqueuer(ownResults(control), tellRemoved, enqueuerFor(whole, control, filterTools)),
  }
}

/** To any host. QMQP is for clients that may do nothing else. */
export function mayRelay(form: RelayService, environment: Environment): boolean {
  return form === 'qmqp' || environment.has('RELAYCLIENT')
}

/** DATABYTES of the rules wins. */
function databytesOf(environment: Environment, control: Control): number {
  const override = environment.get('DATABYTES')
  return (override === '' ? 0 : parseBytes(override ?? '')) ?? control.number('databytes')
}

/** As smtpd does for clients that may relay: filters of control/localfilters, and the program that QMAILQUEUE names. */
function enqueuerFor(whole: Environment, control: Control, filterTools: FilterTools): Enqueuer {
  const plan = planFilters(whole, control.list('localfilters') ?? [], 'localfilters', filterTools.readFile)
  if (!whole.has('QMAILQUEUE') && plan.done && plan.value.filters.length === 0) return filterTools.queue
  return enqueuerForPlan(plan, whole, filterTools)
}
