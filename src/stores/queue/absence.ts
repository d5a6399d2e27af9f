/** How the queue's clock counts the time while no `queue` ran. */
import type { StoredClock } from './contract.ts'

/** How often its reading is noted in the store: it may have been this much further when the process was killed. */
export const noteMilliseconds = 60_000
/** At most this much of the time between two runs counts: it may have passed, or the machine's clock may have been set. */
const absenceMillisecondsMax = 3_600_000

/** How far the clock is ahead of the machine's from now on. `jumped`: time passed that does not count. */
export function aheadAfterAbsence(
  stored: StoredClock | undefined,
  machineMs: number,
): { readonly aheadMs: number; readonly jumped: boolean } {
  if (stored === undefined) return { aheadMs: 0, jumped: false }
  const passed = machineMs + stored.aheadMs - stored.seenMs
  const back = passed < 0 ? noteMilliseconds - passed : 0
  const jumped = passed > absenceMillisecondsMax
  return { aheadMs: stored.aheadMs + back - (jumped ? passed - absenceMillisecondsMax : 0), jumped }
}
