/** One coarse tick watches the deadlines of all connections: a timer for each reply would cost more than the reply. */
import type { Clock } from '../../system/clock.ts'

/** A deadline is noticed at most so much late. */
const tickMilliseconds = 250

export interface Watched {
  /** Monotonic milliseconds; infinite when nothing is waited for. */
  readonly deadline: number
  onDeadline(): void
}

export class Deadlines {
  readonly clock: Clock
  private readonly watched = new Set<Watched>()
  private ticking = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  watch(item: Watched): void {
    this.watched.add(item)
    if (this.ticking) return
    this.ticking = true
    this.clock.after(tickMilliseconds, () => this.tick())
  }

  forget(item: Watched): void {
    this.watched.delete(item)
  }

  private tick(): void {
    const now = this.clock.monotonic()
    for (const item of this.watched) if (item.deadline <= now) item.onDeadline()
    this.ticking = this.watched.size > 0
    if (this.ticking) this.clock.after(tickMilliseconds, () => this.tick())
  }
}
