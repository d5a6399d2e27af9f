/** Keeps the process for a while after its work, for what it would forget. */
import type { Clock } from '../../system/clock.ts'

export class KeepAlive {
  private readonly clock: Clock
  private readonly hold: () => () => void
  private until = 0
  private release: (() => void) | undefined
  private cancel = (): void => undefined
  private ended = false

  /** `hold`: the process stays until the returned function is called. */
  constructor(clock: Clock, hold: () => () => void) {
    this.clock = clock
    this.hold = hold
  }

  /** From now; a longer stay that was asked for before counts. */
  for(milliseconds: number): void {
    const until = this.clock.monotonic() + milliseconds
    if (this.ended || until <= this.until) return
    this.until = until
    this.release ??= this.hold()
    this.cancel()
    this.cancel = this.clock.after(milliseconds, () => this.leave())
  }

  /** The process is to end: nothing holds it any more. */
  end(): void {
    this.ended = true
    this.leave()
  }

  /** What would be forgotten may be; what comes after this may not. */
  leave(): void {
    this.cancel()
    this.until = 0
    this.release?.()
    this.release = undefined
  }
}
