/** Time, handed in so that a simulation can hand in its own. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. May jump: use it for stamps and for retry times that outlive the process. */
  now(): number
  /** Milliseconds that only go forward: use it for time limits. */
  monotonic(): number
  /** Calls back once; the returned function cancels. Does not keep the process alive by itself. */
  after(milliseconds: number, callback: () => void): () => void
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, callback) {
    // setTimeout takes at most 2^31-1 ms; no caller waits longer than a day at once.
    const timer = setTimeout(callback, Math.min(milliseconds, 86_400_000))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** A monotonic time as wall-clock time, by the present wall clock, which may have been set since. */
export function wallTime(monotonicMs: number, clock: Clock): number {
  return Math.round(clock.now() - (clock.monotonic() - monotonicMs))
}

export class DeadlineError extends Error {
  override name = 'DeadlineError'
}

/** Rejects with DeadlineError if the promise has not settled in time. What it waits for is not cancelled. */
export async function within<T>(clock: Clock, milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  let cancel: () => void = () => undefined
  const deadline = new Promise<never>((_, reject) => {
    cancel = clock.after(milliseconds, () => reject(new DeadlineError(`${what}: no answer in ${milliseconds} ms`)))
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    cancel()
  }
}
