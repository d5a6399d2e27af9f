/** Calls back after a delay: one timer for all that wait, one array entry for each. Never early, late by one tick at most.
 *  Entries cannot be taken out: the callback checks whether it is still wanted. */
import type { Clock } from '../../system/clock.ts'

const tickMilliseconds = 100

export class DelayWheel {
  private readonly clock: Clock
  private readonly slots = new Map<number, (() => void)[]>()
  private ticking = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  after(milliseconds: number, callback: () => void): void {
    const slot = Math.ceil((this.clock.monotonic() + milliseconds) / tickMilliseconds)
    const waiting = this.slots.get(slot)
    if (waiting === undefined) this.slots.set(slot, [callback])
    else waiting.push(callback)
    this.startTicking()
  }

  private startTicking(): void {
    if (this.ticking || this.slots.size === 0) return
    this.ticking = true
    this.clock.after(tickMilliseconds, () => {
      this.ticking = false
      const now = this.clock.monotonic() / tickMilliseconds
      for (const [slot, callbacks] of this.slots) {
        if (slot > now) continue
        this.slots.delete(slot)
        for (const callback of callbacks) callback()
      }
      this.startTicking()
    })
  }
}
