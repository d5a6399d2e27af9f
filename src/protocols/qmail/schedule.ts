/** When a message is tried again: qmail's quadratic schedule. Attempts that happen on time come at 0, 100, 400, 900 …
 *  seconds after birth on the local channel, at 0, 400, 1600, 3600 … on the remote one. */
const skip = { local: 10, remote: 20 } as const

/** All in milliseconds since 1970; the answer is the due time of the attempt after one that begins at `nowMs`. */
export function nextAttemptMs(channel: 'local' | 'remote', bornMs: number, nowMs: number): number {
  const ageSeconds = Math.max(0, Math.floor((nowMs - bornMs) / 1000))
  const step = Math.floor(Math.sqrt(ageSeconds)) + skip[channel]
  return bornMs + step * step * 1000
}

/** The longest that a message can have to wait, from one attempt to the next. */
export function longestWaitMs(channel: 'local' | 'remote', lifetimeSeconds: number): number {
  const step = skip[channel]
  return (2 * Math.floor(Math.sqrt(lifetimeSeconds)) + step) * step * 1000
}

/** A pass that begins after the lifetime is the last: what it defers has failed. */
export function isLastAttempt(bornMs: number, nowMs: number, lifetimeSeconds: number): boolean {
  return nowMs > bornMs + lifetimeSeconds * 1000
}

export const lifetimeOverText = "I'm not going to try again; this message has been in the queue too long.\n"
