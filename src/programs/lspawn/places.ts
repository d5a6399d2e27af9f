/** When one more `local` may be started: a few starts at a time, and few processes in all. A `local` is a runtime of its own:
 *  one mail to sixty users must not become sixty of them at once, and another mail to one user not wait behind all of them.
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
  /** In the order of their turns; what is nobody's message, as a login, takes a turn for itself. */
  private readonly waiting = new Map<number | symbol, Set<Waiter>>()
  private waitingCount = 0
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

  /** Resolves when the caller has a place and is starting; it calls the function when it serves, or never will. Those who
   *  wait are served by turns, one of each message. */
  async take(messageId?: number): Promise<() => void> {
    if (this.waiting.size === 0 && this.hasPlace(0)) this.grant()
    else await this.wait(messageId ?? Symbol('login'))
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

  private wait(turn: number | symbol): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        sinceMs: this.clock.monotonic(),
        settle: (error) => {
          this.leave(turn, waiter)
          if (error !== undefined) return reject(error)
          this.grant()
          resolve()
        },
      }
      const waiters = this.waiting.get(turn) ?? new Set<Waiter>()
      this.waiting.set(turn, waiters.add(waiter))
      this.waitingCount++
      this.look()
    })
  }

  /** Others of the same message have their turn after everybody else's. */
  private leave(turn: number | symbol, waiter: Waiter): void {
    const waiters = this.waiting.get(turn)
    if (waiters?.delete(waiter) === true) this.waitingCount--
    this.waiting.delete(turn)
    if (waiters !== undefined && waiters.size > 0) this.waiting.set(turn, waiters)
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

  /** By turns; whoever has waited too long has waited for nothing. */
  private look(): void {
    const now = this.clock.monotonic()
    for (let next = this.next(now); next !== undefined; next = this.next(now)) next.settle()
    for (const waiters of this.waiting.values())
      for (const waiter of waiters) {
        if (now - waiter.sinceMs < placeMillisecondsMax) break
        waiter.settle(new Error(`no place for another process in ${placeMillisecondsMax} ms: ${this.taken} run`))
      }
    if (this.waiting.size === 0) return
    const missing = this.taken + this.waitingCount - this.limits.residentMax
    if (missing > 0) this.askForRoom(Math.min(missing, this.waitingCount))
    if (this.looking) return
    this.looking = true
    this.clock.after(lookMilliseconds, () => {
      this.looking = false
      this.look()
    })
  }

  /** The first in turn for whom there is a place: one who has waited long enough may have one beyond `residentMax`. */
  private next(now: number): Waiter | undefined {
    for (const waiters of this.waiting.values()) {
      const [first] = waiters
      if (first !== undefined && this.hasPlace(now - first.sinceMs)) return first
    }
    return undefined
  }
}
