/** Work that is dear: so many at once, so many waiting, so long. */
import type { Clock } from '../../system/clock.ts'

export interface SlotLimits {
  readonly atOnceMax: number
  readonly waitingMax: number
  readonly waitMillisecondsMax: number
}

export class Slots {
  private readonly limits: SlotLimits
  private readonly clock: Clock
  private readonly waiting = new Set<(mayRun: boolean) => void>()
  private running = 0

  constructor(limits: SlotLimits, clock: Clock) {
    this.limits = limits
    this.clock = clock
  }

  /** `full`: there was no place in time, and nothing was done. */
  async run<T>(work: () => Promise<T>): Promise<T | 'full'> {
    if (!(await this.enter())) return 'full'
    try {
      return await work()
    } finally {
      // Its place goes to the next, if one waits.
      const [next] = this.waiting
      if (next === undefined) this.running--
      else next(true)
    }
  }

  private enter(): Promise<boolean> {
    const { atOnceMax, waitingMax, waitMillisecondsMax } = this.limits
    if (this.running < atOnceMax) {
      this.running++
      return Promise.resolve(true)
    }
    if (this.waiting.size >= waitingMax) return Promise.resolve(false)
    return new Promise((resolve) => {
      const settle = (mayRun: boolean): void => {
        cancel()
        this.waiting.delete(settle)
        resolve(mayRun)
      }
      const cancel = this.clock.after(waitMillisecondsMax, () => settle(false))
      this.waiting.add(settle)
    })
  }
}
