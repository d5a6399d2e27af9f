/** Keeps each cdb up to date with its source, as long as the process runs.
 *  Knows:  when a source has settled. Never: makes rules of its own.
 *  Fails:  a source that cannot be compiled is named once; its cdb stays as it was. */
import { rulesNames, type RulesName } from '../../contracts/services.ts'
import { setInterval } from 'node:timers'
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import type { Home } from '../home/layout.ts'
import type { IdleLine } from '../../protocols/qmail/tcprules.ts'
import { compileRules } from './compile.ts'
import { isOutdated, rulePaths, stampOf } from './files.ts'

const pollMilliseconds = 2000
const settledMilliseconds = 1000
const idleShownMax = 5

export interface RuleEvents {
  compiled(text: string): void
  fault(text: string): void
}

/** Resolves when all outdated rules are compiled, and keeps checking until the returned function is called. */
export async function keepRulesCompiled(home: Home, events: RuleEvents, clock: Clock): Promise<() => void> {
  const keeper = new RulesKeeper(home, events, clock)
  await keeper.look(false)
  let looking = false
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    void keeper.look(true).finally(() => (looking = false))
  }, pollMilliseconds)
  timer.unref()
  return () => clearInterval(timer)
}

export class RulesKeeper {
  private readonly home: Pick<Home, 'control'>
  private readonly events: RuleEvents
  private readonly clock: Clock
  /** By service: the stamp of the source that was last handled. */
  private readonly seen = new Map<RulesName, string>()

  constructor(home: Pick<Home, 'control'>, events: RuleEvents, clock: Clock) {
    this.home = home
    this.events = events
    this.clock = clock
  }

  /** `settledOnly`: a source that is being written waits for the next look. */
  async look(settledOnly: boolean): Promise<void> {
    for (const service of rulesNames) await this.lookAt(service, settledOnly)
  }

  private async lookAt(service: RulesName, settledOnly: boolean): Promise<void> {
    const { source, cdb, name } = rulePaths(this.home, service)
    try {
      const sourceStamp = stampOf(source)
      const known = this.seen.get(service)
      if (sourceStamp === undefined || sourceStamp.stamp === known) return
      if (settledOnly && Math.abs(this.clock.now() - sourceStamp.modifiedMs) < settledMilliseconds) return
      this.seen.set(service, sourceStamp.stamp)
      // A source that changed while we watch is compiled even if its time is old (cp -p, rsync).
      if (known === undefined && !isOutdated(sourceStamp, stampOf(cdb))) return
      const outcome = await compileRules(this.home, service)
      if (outcome === undefined) return
      if (!outcome.done) this.events.fault(`${outcome.failure.logText}; ${name}.cdb stays as it was`)
      else {
        const { rules, idle } = outcome.value
        this.events.compiled(`${name}.cdb made of ${rules} rules`)
        if (idle.length > 0) this.events.fault(`${name}: ${describeIdle(idle)}`)
      }
    } catch (error) {
      this.events.fault(`${name}: ${describeError(error)}`)
    }
  }
}

function describeIdle(idle: readonly IdleLine[]): string {
  const shown = idle.slice(0, idleShownMax).map(({ line, reason }) => `line ${line} ${reason}`)
  return [...shown, ...(idle.length > shown.length ? [`and ${idle.length - shown.length} more`] : [])].join('; ')
}
