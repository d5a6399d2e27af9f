/** Work that is dear: so many at once, so many waiting, so long. What is urgent goes first, and has waiting places of its
 *  own: a crowd of strangers holds up strangers. */
import type { Clock } from '../../system/clock.ts'

export interface SlotLimits {
  readonly atOnceMax: number
  readonly waitingMax: number
  readonly waitMillisecondsMax: number
}

export class Slots {
  private readonly limits: SlotLimits
  private readonly clock: Clock
  private readonly urgent = new Set<(mayRun: boolean) => void>()
  private readonly waiting = new Set<(mayRun: boolean) => void>()
  private running = 0

  constructor(limits: SlotLimits, clock: Clock) {
    this.limits = limits
    this.clock = clock
  }

  /** `full`: there was no place in time, and nothing was done. */
  async run<T>(work: () => Promise<T>, isUrgent = false): Promise<T | 'full'> {
    if (!(await this.enter(isUrgent ? this.urgent : this.waiting))) return 'full'
    try {
      return await work()
    } finally {
      // Its place goes to the next, if one waits.
      const [next] = this.urgent.size > 0 ? this.urgent : this.waiting
      if (next === undefined) this.running--
      else next(true)
    }
  }

  private enter(queue: Set<(mayRun: boolean) => void>): Promise<boolean> {
    const { atOnceMax, waitingMax, waitMillisecondsMax } = this.limits
    if (this.running < atOnceMax) {
      this.running++
      return Promise.resolve(true)
    }
    if (queue.size >= waitingMax) return Promise.resolve(false)
    return new Promise((resolve) => {
      const settle = (mayRun: boolean): void => {
        cancel()
        queue.delete(settle)
        resolve(mayRun)
      }
      const cancel = this.clock.after(waitMillisecondsMax, () => settle(false))
      queue.add(settle)
    })
  }
}
