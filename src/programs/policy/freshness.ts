import type { Clock } from '../../system/clock.ts'
import { freshMillisecondsMax } from './limits.ts'

/** For how long the caller may reuse an answer. `freshUntil` is on the monotonic clock; 0 if it is not in the future, or is
 *  infinite because nothing was asked. */
export function freshMillisecondsOf(clock: Clock, freshUntil: number): number {
  const milliseconds = Math.floor(freshUntil - clock.monotonic())
  return Number.isFinite(milliseconds) ? Math.min(Math.max(0, milliseconds), freshMillisecondsMax) : 0
}
