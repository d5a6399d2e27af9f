/** Message ids: 63-bit numbers made by the node, ascending, never used again. Ours stay below 2^53, so that they are
 *  exact as JavaScript numbers: milliseconds since 2025 times 4096, plus a count. */
import type { Clock } from '../../system/clock.ts'

const epochMs: number = Date.UTC(2025, 0, 1)
const perMillisecond = 4096

export class MessageIds {
  private last: number
  private readonly clock: Clock

  /** `last`: the largest id in the store, so that a clock set back makes no id twice. */
  constructor(clock: Clock, last: number) {
    this.clock = clock
    this.last = last
  }

  next(): number {
    this.last = Math.max((this.clock.now() - epochMs) * perMillisecond, this.last + 1)
    return this.last
  }
}
