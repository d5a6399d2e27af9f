/** The clock by which mail ages: births, due times and message ids are told by it. It goes forward at the pace of the
 *  machine's, but makes none of its jumps: neither a clock that is set, nor a machine that slept, nor a battery that was
 *  empty makes mail a year older or puts it off for one.
 *  Knows:  how far it is ahead of the machine's clock, kept in the store; `toMachine` tells people's time.
 *  Never:  goes back. */
import { aheadAfterAbsence } from '../../stores/queue/absence.ts'
import type { StoredClock } from '../../stores/queue/contract.ts'
import type { Clock } from '../../system/clock.ts'

/** Smaller steps of the machine's clock are followed: a leap second, an NTP daemon that starts. */
const stepMilliseconds = 60_000

export class QueueClock implements Clock {
  private readonly machine: Clock
  private aheadMs: number
  private latestMs = Number.NEGATIVE_INFINITY
  private lookedMs: number
  private lookedMonotonic: number
  /** Time may have passed that does not count: what waits is to be tried. */
  private jumped: boolean

  constructor(machine: Clock, stored: StoredClock | undefined) {
    this.machine = machine
    this.lookedMs = machine.now()
    this.lookedMonotonic = machine.monotonic()
    const { aheadMs, jumped } = aheadAfterAbsence(stored, this.lookedMs)
    this.aheadMs = aheadMs
    this.jumped = jumped
  }

  now(): number {
    const machineMs = this.machine.now()
    const monotonic = this.machine.monotonic()
    const step = machineMs - this.lookedMs - (monotonic - this.lookedMonotonic)
    this.lookedMs = machineMs
    this.lookedMonotonic = monotonic
    if (Math.abs(step) > stepMilliseconds) {
      this.aheadMs -= Math.round(step)
      if (step > 0) this.jumped = true
    }
    this.latestMs = Math.max(this.latestMs, machineMs + this.aheadMs)
    return this.latestMs
  }

  monotonic(): number {
    return this.machine.monotonic()
  }

  after(milliseconds: number, callback: () => void): () => void {
    return this.machine.after(milliseconds, callback)
  }

  /** What a calendar says now. */
  machineNow(): number {
    return this.machine.now()
  }

  /** A time of this clock, as the machine's clock shows it. */
  toMachine(ms: number): number {
    // That clock may have been set since anybody asked this one.
    this.now()
    return ms - this.aheadMs
  }

  /** To be kept until the next run. */
  reading(): StoredClock {
    return { seenMs: this.now(), aheadMs: this.aheadMs }
  }

  /** True once after time that does not count. */
  takeJump(): boolean {
    const { jumped } = this
    this.jumped = false
    return jumped
  }
}
