import { type Clock, within } from '../../system/clock.ts'

/** Undefined: no answer by then. `deadline` is on the monotonic clock. */
export async function untilDeadline<T>(clock: Clock, deadline: number, promise: Promise<T>): Promise<T | undefined> {
  return await within(clock, Math.max(0, deadline - clock.monotonic()), 'DNS', promise).catch(() => undefined)
}
