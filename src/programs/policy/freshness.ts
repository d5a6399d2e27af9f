import type { Clock } from '../../system/clock.ts'
import { freshMillisecondsMax } from './limits.ts'

/** For how long the asker may use an answer again. `freshUntil` is on the monotonic clock; what is not in the future, or has
 *  no end because nothing was asked, is not kept. */
export function freshMillisecondsOf(clock: Clock, freshUntil: number): number {
  const milliseconds = Math.floor(freshUntil - clock.monotonic())
  return Number.isFinite(milliseconds) ? Math.min(Math.max(0, milliseconds), freshMillisecondsMax) : 0
}
