/** How many connections there are, from whom, and how fast they come. Loopback is counted nowhere. */
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import type { DoorLimits } from './limits.ts'
import { isLoopback, peerKey } from './peer.ts'

const minuteMilliseconds = 60_000
/** Addresses remembered within one minute; an attack from more of them meets the limit on the total. */
const recentMax = 100_000

/** Gives back a place; to be called once. */
export type Leave = () => void

export class Census {
  private readonly limits: DoorLimits
  private readonly clock: Clock
  private readonly present = new Map<string, number>()
  private readonly recent = new Map<string, number>()
  private minuteBegan: number
  private total = 0

  constructor(limits: DoorLimits, clock: Clock) {
    this.limits = limits
    this.clock = clock
    this.minuteBegan = clock.monotonic()
  }

  /** A place, or the reply that refuses it. `first`: no refusal of this peer for its haste was told before, this minute. */
  enter(ip: string): { readonly leave: Leave } | { readonly refusal: Reply; readonly first: boolean } {
    if (isLoopback(ip)) return { leave: () => undefined }
    const key = peerKey(ip)
    const arrivals = this.arrived(key)
    if (arrivals > this.limits.connectionsPerMinuteMax)
      return { refusal: replies.tooFast, first: arrivals === this.limits.connectionsPerMinuteMax + 1 }
    if (this.total >= this.limits.connectionsMax) return { refusal: replies.tooManyConnections, first: true }
    if ((this.present.get(key) ?? 0) >= this.limits.connectionsPerPeerMax)
      return { refusal: replies.tooManyFromYou, first: true }
    return { leave: this.take(key) }
  }

  /** For a proxy that has not said yet whom it brings: counted in the total alone. */
  enterUnannounced(): Leave | undefined {
    return this.total >= this.limits.connectionsMax ? undefined : this.take('')
  }

  private take(key: string): Leave {
    this.total++
    if (key !== '') this.present.set(key, (this.present.get(key) ?? 0) + 1)
    return () => {
      this.total--
      const left = (this.present.get(key) ?? 0) - 1
      if (left > 0) this.present.set(key, left)
      else this.present.delete(key)
    }
  }

  private arrived(key: string): number {
    const now = this.clock.monotonic()
    if (now - this.minuteBegan >= minuteMilliseconds) {
      this.minuteBegan = now
      this.recent.clear()
    }
    const arrivals = (this.recent.get(key) ?? 0) + 1
    if (arrivals > 1 || this.recent.size < recentMax) this.recent.set(key, arrivals)
    return arrivals
  }
}
