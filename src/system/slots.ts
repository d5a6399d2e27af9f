/** How many programs run at once: the others wait in the order in which they came, each only so long. */
import type { Clock } from './clock.ts'

interface Waiting {
  readonly resolve: (granted: boolean) => void
  readonly cancel: () => void
}

export class Slots {
  private readonly clock: Clock
  private readonly waitingMax: number
  private readonly waiting = new Set<Waiting>()
  private free: number

  constructor(clock: Clock, count: number, waitingMax: number) {
    this.clock = clock
    this.free = count
    this.waitingMax = waitingMax
  }

  /** True: the caller has a slot and must give it back. */
  take(millisecondsMax: number): Promise<boolean> {
    if (this.free > 0) {
      this.free--
      return Promise.resolve(true)
    }
    if (this.waiting.size >= this.waitingMax) return Promise.resolve(false)
    return new Promise((resolve) => {
      const cancel = this.clock.after(millisecondsMax, () => {
        this.waiting.delete(waiting)
        resolve(false)
      })
      const waiting: Waiting = { resolve, cancel }
      this.waiting.add(waiting)
    })
  }

  giveBack(): void {
    const [next] = this.waiting
    if (next === undefined) {
      this.free++
      return
    }
    this.waiting.delete(next)
    next.cancel()
    next.resolve(true)
  }
}
