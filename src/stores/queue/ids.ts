/** Message ids: 63-bit numbers, ascending, never used twice. Ours stay below 2^53, so that they are exact JavaScript numbers:
 *  milliseconds since 2025 of a clock that does not go back, times 4096, plus a count. */

const epochMs: number = Date.UTC(2025, 0, 1)
const perMillisecond = 4096
/** The year 2059. A clock beyond it is wrong: ids then only count up, with room for as many again. */
const fromClockMax: number = 2 ** 52

export class MessageIds {
  private last: number

  /** `largest`: the largest id in the store. `usedUntilMs`: ids up to that time may have been used by messages that are
   *  gone. */
  constructor(largest: number, usedUntilMs: number = epochMs) {
    this.last = Math.max(largest, idAt(usedUntilMs))
  }

  next(nowMs: number): number {
    this.last = Math.max(idAt(nowMs), this.last + 1)
    return this.last
  }
}

function idAt(ms: number): number {
  const id = (ms - epochMs) * perMillisecond
  return id < fromClockMax ? Math.max(0, id) : 0
}
