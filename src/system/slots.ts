/** Limits expensive work: so many jobs at once, the rest wait in turn, each only so long. Urgent jobs go first, and have
 *  waiting places of their own: a crowd of strangers holds up only strangers. */
import type { Clock } from './clock.ts'

export interface SlotLimits {
  readonly atOnceMax: number
  /** Of each urgency. */
  readonly waitingMax: number
}

export interface SlotWish {
  readonly millisecondsMax: number
  readonly isUrgent?: boolean
  /** Aborting it gives up the wait for the slot. */
  readonly signal?: AbortSignal
}

export class Slots {
  private readonly limits: SlotLimits
  private readonly clock: Clock
  private readonly urgent = new Set<(granted: boolean) => void>()
  private readonly waiting = new Set<(granted: boolean) => void>()
  private taken = 0

  constructor(limits: SlotLimits, clock: Clock) {
    this.limits = limits
    this.clock = clock
  }

  /** `full`: there was no slot in time, or it was not wanted any more, and nothing was done. */
  async run<T>(work: () => Promise<T>, wish: SlotWish): Promise<T | 'full'> {
    if (!(await this.take(wish))) return 'full'
    try {
      return await work()
    } finally {
      this.giveBack()
    }
  }

  /** True: the caller has a slot and must give it back. */
  take({ millisecondsMax, isUrgent = false, signal }: SlotWish): Promise<boolean> {
    const queue = isUrgent ? this.urgent : this.waiting
    if (signal?.aborted === true) return Promise.resolve(false)
    if (this.taken < this.limits.atOnceMax) {
      this.taken++
      return Promise.resolve(true)
    }
    if (queue.size >= this.limits.waitingMax) return Promise.resolve(false)
    return new Promise((resolve) => {
      const settle = (granted: boolean): void => {
        cancel()
        signal?.removeEventListener('abort', giveUp)
        queue.delete(settle)
        resolve(granted)
      }
      const giveUp = (): void => settle(false)
      const cancel = this.clock.after(millisecondsMax, giveUp)
      signal?.addEventListener('abort', giveUp)
      queue.add(settle)
    })
  }

  giveBack(): void {
    const [next] = this.urgent.size > 0 ? this.urgent : this.waiting
    if (next === undefined) this.taken--
    else next(true)
  }
}
