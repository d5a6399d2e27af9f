/** How many connections there are, from whom, and how fast they come. Loopback is counted nowhere.
 *  When all places are taken, whoever comes from a network that holds fewer than another gets one of the other's: who has many
 *  addresses, or many in one network, does not shut out who has one. */
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import type { ListenerLimits } from './limits.ts'
import { isLoopback, networkKey, peerKey } from './peer.ts'

const minuteMilliseconds = 60_000
/** Addresses remembered within one minute; an attack from more of them meets the limit on the total. */
const recentMax = 100_000
const noPlaces: ReadonlySet<Place> = new Set()

/** Who has a place can be asked to give it up. */
export interface Holder {
  /** Somebody is logged in, or is about to be served by another program: asked after all others. */
  readonly isEngaged: boolean
  /** `at-once`: without a word. */
  giveUp(how: 'politely' | 'at-once'): void
}

export class Place {
  /** Whoever holds it says so as soon as there is something to give up. */
  holder: Holder | undefined
  private onLeft: () => void

  constructor(onLeft: () => void) {
    this.onLeft = onLeft
  }

  /** Gives it back; again means nothing. */
  leave(): void {
    this.passOn(() => undefined)
  }

  /** It is free, and its holder still there: `onLeft` is called when that has gone too. */
  passOn(onLeft: () => void): void {
    const before = this.onLeft
    this.onLeft = onLeft
    before()
  }
}

export class ConnectionCounts {
  private readonly limits: ListenerLimits
  private readonly clock: Clock
  private readonly present = new Map<string, number>()
  private readonly networks = new Map<string, Set<Place>>()
  private readonly recent = new Map<string, number>()
  private minuteBegan: number
  private total = 0
  /** Asked to give up their places, and still on their way out. */
  private leaving = 0

  constructor(limits: ListenerLimits, clock: Clock) {
    this.limits = limits
    this.clock = clock
    this.minuteBegan = clock.monotonic()
  }

  /** A place, or the reply that refuses it. `first`: no refusal of this peer for its haste was told before, this minute. */
  enter(ip: string): Place | { readonly refusal: Reply; readonly first: boolean } {
    if (isLoopback(ip)) return new Place(() => undefined)
    const key = peerKey(ip)
    const arrivals = this.arrived(key)
    if (arrivals > this.limits.connectionsPerMinuteMax)
      return { refusal: replies.tooFast, first: arrivals === this.limits.connectionsPerMinuteMax + 1 }
    if ((this.present.get(key) ?? 0) >= this.limits.connectionsPerPeerMax)
      return { refusal: replies.tooManyFromYou, first: true }
    const network = networkKey(ip)
    if (this.total >= this.limits.connectionsMax && !this.makeRoomFor(network))
      return { refusal: replies.tooManyConnections, first: true }
    return this.take(key, network)
  }

  /** For a proxy that has not said yet whom it brings: counted in the total alone. Some are let in when all places are taken:
   *  whom they bring may get another's. */
  enterUnannounced(): Place | undefined {
    const { connectionsMax, unannouncedMax } = this.limits
    if (this.total >= connectionsMax + unannouncedMax) return undefined
    this.total++
    return new Place(() => this.total--)
  }

  private take(peer: string, network: string): Place {
    const place: Place = new Place(() => {
      this.total--
      this.release(place, peer, network)
    })
    this.total++
    this.present.set(peer, (this.present.get(peer) ?? 0) + 1)
    const there = this.networks.get(network)
    if (there === undefined) this.networks.set(network, new Set([place]))
    else there.add(place)
    return place
  }

  private release(place: Place, peer: string, network: string): void {
    const left = (this.present.get(peer) ?? 0) - 1
    if (left > 0) this.present.set(peer, left)
    else this.present.delete(peer)
    const there = this.networks.get(network)
    there?.delete(place)
    if (there?.size === 0) this.networks.delete(network)
  }

  /** Takes one from the network that holds most, if it will still hold no fewer than the newcomer's. */
  private makeRoomFor(network: string): boolean {
    const most = [...this.networks.values()].reduce((a, b) => (b.size > a.size ? b : a), noPlaces)
    if (most.size <= (this.networks.get(network)?.size ?? 0) + 1) return false
    const holders = [...most].filter(({ holder }) => holder !== undefined)
    const place = holders.find(({ holder }) => holder?.isEngaged === false) ?? holders[0]
    if (place === undefined) return false
    this.leaving++
    place.passOn(() => this.leaving--)
    place.holder?.giveUp(this.leaving > this.limits.leavingMax ? 'at-once' : 'politely')
    return true
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
