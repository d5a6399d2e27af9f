/** What the queue's clock makes of the time in which nobody looked at it. */
import type { StoredClock } from './contract.ts'

/** Its reading is noted in the store so often: it may have shown so much more when the process was killed. */
export const noteMilliseconds = 60_000
/** Of the time between two runs at most so much counts: nobody knows whether it passed, or the clock was set. */
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
