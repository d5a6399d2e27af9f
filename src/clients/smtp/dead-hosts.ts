/** Remembers addresses that did not answer, so that a dead host does not hold up deliveries for its connect timeout again
 *  and again: the meaning of qmail's lock/tcpto, in memory, for IPv4 and IPv6.
 *  Only timeouts count. A host that answers, were it with a refusal, is alive. */
import type { Clock } from '../../system/clock.ts'
import type { Random } from '../../system/random.ts'

const recordsMax = 1024
const failuresMax = 10
/** From the second failure on an address is passed over. */
const failuresSkipped = 2
/** Failures closer together than this are one: many deliveries may have been waiting at once. */
const sameTroubleSeconds = 120
/** Each failure weighs so many seconds when a record must go. */
const failureWeightSeconds = 1024

interface Trouble {
  failures: number
  /** Monotonic seconds. */
  at: number
}

export class DeadHosts {
  private readonly clock: Clock
  private readonly troubles = new Map<string, Trouble>()
  private readonly skipSeconds: number

  /** 64 to 97 minutes, chosen once a process as qmail does by its pid. */
  constructor(clock: Clock, random: Random) {
    this.clock = clock
    this.skipSeconds = (60 + random.below(32)) * 64
  }

  isDead(address: string): boolean {
    const trouble = this.troubles.get(address)
    if (trouble === undefined || trouble.failures < failuresSkipped) return false
    return this.seconds() - trouble.at < this.skipSeconds
  }

  timedOut(address: string): void {
    const now = this.seconds()
    const trouble = this.troubles.get(address)
    if (trouble === undefined) {
      if (this.troubles.size >= recordsMax) this.forgetOne()
      this.troubles.set(address, { failures: 1, at: now })
    } else if (now - trouble.at >= sameTroubleSeconds) {
      trouble.failures = Math.min(trouble.failures + 1, failuresMax)
      trouble.at = now
    }
  }

  /** It accepted a connection or refused one. */
  answered(address: string): void {
    this.troubles.delete(address)
  }

  private forgetOne(): void {
    let victim: string | undefined
    let least = Number.POSITIVE_INFINITY
    for (const [address, { failures, at }] of this.troubles) {
      const weight = at + failures * failureWeightSeconds
      if (weight < least) {
        least = weight
        victim = address
      }
    }
    if (victim !== undefined) this.troubles.delete(victim)
  }

  private seconds(): number {
    return this.clock.monotonic() / 1000
  }
}
