/** Tickets: logins that authd has seen proven, until the front presents them. One use, for half a minute, and only by
 *  the peer of whom authd said so.
 *  A ticket may be presented again only if the `local` that it led to has gone meanwhile. */
import type { ByteString } from '../../base/byte-string.ts'
import { samePeer, type SessionPeer } from '../../contracts/sessions.ts'
import type { Clock } from '../../system/clock.ts'

export const ticketMilliseconds = 30_000
/** Of some 200 logins a second, in half a minute. */
export const ticketsMax = 10_000

/** Whose session it will be: an account to be looked up, or a user that a checkpassword program has shown. */
export type Holder =
  | { readonly kind: 'account' }
  | {
      readonly kind: 'user'
      readonly user: ByteString
      readonly uid: number
      readonly gid: number
      readonly home: ByteString
    }

export interface Ticket {
  readonly account: ByteString
  readonly holder: Holder
  readonly peer: SessionPeer
}

interface Entry extends Ticket {
  readonly until: number
  /** Once presented: whether it led nowhere. */
  isLost: (() => boolean) | undefined
}

export class Tickets {
  private readonly clock: Clock
  private readonly entries = new Map<ByteString, Entry>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** False: there are too many, or this one is there already. */
  add(ticket: ByteString, meaning: Ticket): boolean {
    this.expire()
    if (this.entries.size >= ticketsMax || this.entries.has(ticket)) return false
    this.entries.set(ticket, { ...meaning, until: this.clock.monotonic() + ticketMilliseconds, isLost: undefined })
    return true
  }

  /** Undefined: no such ticket, or not for this peer. Whoever shows it with another peer's name loses it. */
  present(ticket: ByteString, peer: SessionPeer): Ticket | undefined {
    this.expire()
    const entry = this.entries.get(ticket)
    if (entry === undefined) return undefined
    if (!samePeer(entry.peer, peer)) {
      this.entries.delete(ticket)
      return undefined
    }
    if (entry.isLost?.() === false) return undefined
    entry.isLost = () => false
    return entry
  }

  /** None of the account's leads anywhere any more. */
  revoke(account: ByteString): void {
    for (const [ticket, entry] of this.entries) if (entry.account === account) this.entries.delete(ticket)
  }

  /** It has led to a process; from then on it is good only while `isLost` says so. False: it is not good any more. */
  spent(ticket: ByteString, isLost: () => boolean): boolean {
    const entry = this.entries.get(ticket)
    if (entry === undefined) return false
    entry.isLost = isLost
    return true
  }

  /** In the order of their coming: all live equally long. */
  private expire(): void {
    const now = this.clock.monotonic()
    for (const [ticket, { until }] of this.entries) {
      if (until > now) return
      this.entries.delete(ticket)
    }
  }
}
