/** Makes each session's setting from the present control files. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ContentBudget } from '../../clients/queue/content-budget.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import { enqueuerForPlan, type FilterTools, planFilters } from '../../clients/queue/filter-chain.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import type { Control } from '../../stores/control/control.ts'
import { ownResults } from '../../stores/control/own-results.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { ClientFilters } from './explain.ts'
import type { Gates } from './gates.ts'
import { limits } from './limits.ts'
import type { Policy } from './policy.ts'
import type { ReplyRulesSource } from './reply-rules.ts'
import type { SessionSetting } from './session-setting.ts'

export interface SettingsParts {
  readonly control: Control
  readonly clock: Clock
  readonly log: Log
  readonly budget: ContentBudget
  readonly gates: Gates
  readonly filterTools: FilterTools
  readonly replyRules: ReplyRulesSource
  /** The environment of this process, whose QMAILQUEUE serves clients without one of their own. */
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly relayerOf: SessionSetting['relayerOf']
  readonly tlsAvailable: () => boolean
}

export class SessionSettings {
  private readonly parts: SettingsParts
  private readonly isOwnResult: SessionSetting['isOwnResult']

  constructor(parts: SettingsParts) {
    this.parts = parts
    this.isOwnResult = ownResults(parts.control)
  }

  with(policy: Policy, environment: Environment): SessionSetting {
    const { control, clock, log, budget, gates, replyRules, relayerOf, tlsAvailable } = this.parts
    return {
      policy,
      environment,
      gate: gates.open(environment),
      replyRules: control.unread('smtpd').length === 0 ? replyRules.current() : 'broken',
      mustWaitForReplies: true,
      limits,
      clock,
      budget,
      log,
      enqueuerFor: (variables) => this.enqueuerFor(variables),
      relayerOf,
      isOwnResult: this.isOwnResult,
      tlsAvailable,
    }
  }

  /** Filters of the control file for this kind of client, or QMAILQUEUE, which counts if set, even if empty. */
  filtersOf(environment: Environment): ClientFilters {
    const { control, variables, filterTools } = this.parts
    const file = environment.has('RELAYCLIENT') ? 'localfilters' : 'smtpfilters'
    const listed = control.list(file) ?? (file === 'smtpfilters' ? defaultFilters(environment) : [])
    const program = environment.get('QMAILQUEUE') ?? variables['QMAILQUEUE']
    const whole = program === undefined ? environment : new Map(environment).set('QMAILQUEUE', program)
    return { whole, plan: planFilters(whole, listed, file, filterTools.readFile) }
  }

  private enqueuerFor(environment: Environment): Enqueuer {
    const { filterTools } = this.parts
    const { whole, plan } = this.filtersOf(environment)
    if (!whole.has('QMAILQUEUE') && plan.done && plan.value.filters.length === 0) return filterTools.queue
    return enqueuerForPlan(plan, whole, filterTools)
  }
}

/** pkgsrc's smtpfilters, without those that have nothing to do. */
function defaultFilters(environment: Environment): readonly ByteString[] {
  return environment.has('SSL_PROTOCOL') ? ['qmail-qfilter-addtlsheader'] : []
}
