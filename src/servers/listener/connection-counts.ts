/** How many connections there are, from whom, and how fast they come. Loopback is counted nowhere.
 *  When all places are taken, a client from a network that holds fewer than another gets one of the other's: a client with
 *  many addresses, or many in one network, does not shut out a client with one. */
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import type { ListenerLimits } from './limits.ts'
import { isLoopback, networkKey, peerKey } from './peer.ts'

const minuteMilliseconds = 60_000
/** Addresses counted in one minute; an attack from more meets the limit on the total. */
const recentMax = 100_000
const noPlaces: ReadonlySet<Place> = new Set()

/** The holder of a place can be asked to give it up. */
export interface Holder {
  /** A user is logged in, or another program is about to serve the connection: asked after all others. */
  readonly isEngaged: boolean
  /** `at-once`: without a word. */
  giveUp(how: 'politely' | 'at-once'): void
}

export class Place {
  /** Set by the holder as soon as there is something to give up. */
  holder: Holder | undefined
  private onLeft: () => void

  constructor(onLeft: () => void) {
    this.onLeft = onLeft
  }

  /** Gives it back; a second call does nothing. */
  leave(): void {
    this.passOn(() => undefined)
  }

  /** Frees the place while its holder is still there: `onLeft` is called when the holder has gone too. */
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
  /** Holders that were asked to give up their places, and have not gone yet. */
  private leaving = 0

  constructor(limits: ListenerLimits, clock: Clock) {
    this.limits = limits
    this.clock = clock
    this.minuteBegan = clock.monotonic()
  }

  /** A place, or the reply that refuses it. `first`: false if this peer was already refused for its rate this minute. */
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

  /** For a proxy that has not announced its client yet: counted in the total alone. Some are let in when all places are
   *  taken: their clients may get another's place. */
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

  /** Takes a place from the network that holds most, if that will still hold no fewer than the newcomer's. */
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
