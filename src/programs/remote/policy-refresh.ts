/** Refreshes MTA-STS policies even while no mail needs them, so that an attacker who can block a fetch for a while cannot just
 *  wait until a policy expires (RFC 8461 §3.3, §10.2); and forgets unused ones.
 *  Fails:  a policy that cannot be fetched stays until it expires; the next turn is an hour later. */
import { describeError } from '../../base/outcome.ts'
import type { StsPolicies } from '../../clients/mta-sts/policies.ts'
import type { KeptPolicies } from '../../stores/mta-sts/kept-policies.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import { type Random, shuffled } from '../../system/random.ts'

const turnMilliseconds: number = 60 * 60_000
const unusedMilliseconds: number = 90 * 24 * 60 * 60_000
/** More are not kept. */
const policiesMax = 10_000

export interface RefreshParts {
  readonly policies: StsPolicies
  readonly kept: KeptPolicies
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Runs as long as the process lives. Begins at a random time, so that hosts do not all fetch at once. */
export function refreshPolicies(parts: RefreshParts): void {
  const { clock, random } = parts
  const turn = async (): Promise<void> => {
    await refreshOnce(parts)
    clock.after(turnMilliseconds, () => void turn())
  }
  clock.after(random.below(turnMilliseconds), () => void turn())
}

export async function refreshOnce({ policies, kept, clock, random, log }: RefreshParts): Promise<void> {
  try {
    for (const [at, domain] of shuffled(random, await kept.domains()).entries()) {
      const known = await kept.read(domain)
      const isUnused = known === undefined || clock.now() - known.usedAt > unusedMilliseconds
      if (isUnused || at >= policiesMax) await kept.remove(domain)
      else await policies.refresh(domain)
    }
  } catch (error) {
    log(`warning: MTA-STS policies cannot be refreshed: ${describeError(error)}`)
  }
}
