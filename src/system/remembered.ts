/** Answers that cost something, remembered for a while; the same question while one is under way waits for that. Trouble is
 *  not remembered. When there are too many, all are forgotten: keys may come from the network. */
import type { Clock } from './clock.ts'

export interface RememberedLimits {
  readonly milliseconds: number
  readonly countMax: number
}

export class Remembered<Answer> {
  private readonly clock: Clock
  private readonly limits: RememberedLimits
  private readonly entries = new Map<string, { readonly untilMs: number; readonly answer: Promise<Answer> }>()

  constructor(clock: Clock, limits: RememberedLimits) {
    this.clock = clock
    this.limits = limits
  }

  get(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const now = this.clock.monotonic()
    const known = this.entries.get(key)
    if (known !== undefined && known.untilMs > now) return known.answer
    if (this.entries.size >= this.limits.countMax) this.entries.clear()
    const entry = { untilMs: now + this.limits.milliseconds, answer: ask() }
    this.entries.set(key, entry)
    entry.answer.catch(() => {
      if (this.entries.get(key) === entry) this.entries.delete(key)
    })
    return entry.answer
  }
}
