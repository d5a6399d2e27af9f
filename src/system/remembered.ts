/** Answers that cost something, remembered for a while; the same question, while one is under way, waits for its answer.
 *  Failures are not remembered. The number of answers is limited: keys may come from the network. */
import { FreshMap } from '../base/fresh-map.ts'
import type { Clock } from './clock.ts'

export interface RememberedLimits {
  readonly milliseconds: number
  readonly countMax: number
}

export class Remembered<Answer> {
  private readonly clock: Clock
  private readonly limits: RememberedLimits
  private readonly answers: FreshMap<Promise<Answer>>

  constructor(clock: Clock, limits: RememberedLimits) {
    this.clock = clock
    this.limits = limits
    this.answers = new FreshMap(limits.countMax)
  }

  get(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const now = this.clock.monotonic()
    const known = this.answers.get(key, now)
    if (known !== undefined) return known
    const answer = ask()
    this.answers.set(key, answer, now + this.limits.milliseconds)
    answer.catch(() => {
      if (this.answers.get(key, now) === answer) this.answers.delete(key)
    })
    return answer
  }
}
