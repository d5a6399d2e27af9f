/** What the users of the machine hold of `queue-inject` at once. Each uid has a bound, and gets no more than it leaves free:
 *  several that take all they can leave something for the next. */
import {
  handInConnectionsMax,
  handInConnectionsPerUidMax,
  handInStreamsPerUidMax,
  handInUnfinishedBytesMax,
  handInUnfinishedBytesPerUidMax,
} from './limits.ts'

class Share {
  private readonly byUid = new Map<number, number>()
  private readonly max: number
  private readonly perUidMax: number
  private total = 0

  constructor(max: number, perUidMax: number) {
    this.max = max
    this.perUidMax = perUidMax
  }

  /** False, and nothing is taken, if that is too much. */
  take(uid: number, amount: number): boolean {
    const held = (this.byUid.get(uid) ?? 0) + amount
    if (amount > 0 && (held > this.perUidMax || held > this.max - this.total)) return false
    if (held <= 0) this.byUid.delete(uid)
    else this.byUid.set(uid, held)
    this.total += amount
    return true
  }
}

export class HandInShares {
  readonly connections: Share = new Share(handInConnectionsMax, handInConnectionsPerUidMax)
  /** Bytes of frames that have begun and are not complete. */
  readonly unfinishedBytes: Share = new Share(handInUnfinishedBytesMax, handInUnfinishedBytesPerUidMax)
  /** Messages that come chunk by chunk: each is an open file. */
  readonly streams: Share = new Share(handInConnectionsMax, handInStreamsPerUidMax)
}
