/** When one more `local` may be started: a few starts at a time, and few processes in all. A `local` is a runtime of its own:
 *  one mail to sixty users must not become sixty of them at once.
 *  Knows:  what the machine's memory holds, who waits. Never: which process should leave; it asks for room.
 *  Fails:  `take` rejects if there was no place in time: mail waits, a login is asked to come again. */
import { availableParallelism, totalmem } from 'node:os'
import type { Clock } from '../../system/clock.ts'

export interface PlaceLimits {
  /** Processes that have not said yet that they serve. */
  readonly startsMax: number
  /** Beyond it those without work are asked to leave, and whoever wants another waits a little for that. */
  readonly residentMax: number
  /** In no case more. */
  readonly runningMax: number
}

/** Of a `local` with a session or two. */
const localBytes: number = 45 * 1024 * 1024

/** A quarter of the memory for what may stay, half of it in all. `memoryBytes`: of the machine, or what a cgroup allows. */
export function placeLimits(memoryBytes: number, processors: number): PlaceLimits {
  const processes = (share: number, least: number, most: number): number =>
    Math.min(most, Math.max(least, Math.floor((memoryBytes * share) / localBytes)))
  return {
    startsMax: Math.min(8, Math.max(3, processors)),
    residentMax: processes(1 / 4, 4, 100),
    runningMax: processes(1 / 2, 12, 1000),
  }
}

export function placesOfThisMachine(): PlaceLimits {
  return placeLimits(memory(), availableParallelism())
}

/** Less than a tenth of the memory is free. */
export function isMemoryShort(): boolean {
  return process.availableMemory() < memory() / 10
}

function memory(): number {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
}

/** Then nobody waits for room any more, up to `runningMax`. */
const roomMillisecondsMax = 2_000
const placeMillisecondsMax = 60_000
/** A start that takes longer counts no more: a process that its user stops must not keep others from starting. */
const startMillisecondsMax = 2_000
const lookMilliseconds = 250

interface Waiter {
  readonly sinceMs: number
  readonly settle: (error?: Error) => void
}

export class Places {
  private readonly clock: Clock
  private readonly limits: PlaceLimits
  private readonly askForRoom: (count: number) => void
  private readonly waiting = new Set<Waiter>()
  private starting = 0
  private taken = 0
  private looking = false

  /** `askForRoom`: so many processes are to leave if they can. */
  constructor(clock: Clock, limits: PlaceLimits, askForRoom: (count: number) => void) {
    this.clock = clock
    this.limits = limits
    this.askForRoom = askForRoom
  }

  get isFull(): boolean {
    return this.taken >= this.limits.runningMax
  }

  /** Resolves when the caller has a place and is starting; it calls the function when it serves, or never will. */
  async take(): Promise<() => void> {
    if (this.waiting.size === 0 && this.hasPlace(0)) this.grant()
    else await this.wait()
    let isStarting = true
    const end = (): void => {
      if (!isStarting) return
      isStarting = false
      cancel()
      this.starting--
      this.look()
    }
    const cancel = this.clock.after(startMillisecondsMax, end)
    return end
  }

  /** A process is gone. */
  giveBack(): void {
    this.taken--
    this.look()
  }

  private wait(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        sinceMs: this.clock.monotonic(),
        settle: (error) => {
          this.waiting.delete(waiter)
          if (error !== undefined) return reject(error)
          this.grant()
          resolve()
        },
      }
      this.waiting.add(waiter)
      this.look()
    })
  }

  private grant(): void {
    this.taken++
    this.starting++
  }

  private hasPlace(waitedMilliseconds: number): boolean {
    const { startsMax, residentMax, runningMax } = this.limits
    if (this.starting >= startsMax) return false
    return this.taken < (waitedMilliseconds < roomMillisecondsMax ? residentMax : runningMax)
  }

  /** In the order of their coming. */
  private look(): void {
    const now = this.clock.monotonic()
    for (const waiter of this.waiting) {
      const waited = now - waiter.sinceMs
      if (this.hasPlace(waited)) waiter.settle()
      else if (waited >= placeMillisecondsMax)
        waiter.settle(new Error(`no place for another process in ${placeMillisecondsMax} ms: ${this.taken} run`))
      else break
    }
    if (this.waiting.size === 0) return
    const missing = this.taken + this.waiting.size - this.limits.residentMax
    if (missing > 0) this.askForRoom(Math.min(missing, this.waiting.size))
    if (this.looking) return
    this.looking = true
    this.clock.after(lookMilliseconds, () => {
      this.looking = false
      this.look()
    })
  }
}
