/** What a ticket leads to: the user's own `local`, which has been told of the session.
 *  Knows:  who an account is, by the routing and the lookup that deliver its mail. Never: what is said in a session.
 *  Fails:  a refusal of the sessions contract; never throws. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import {
  type OpenReply,
  type OpenRequest,
  type Refusal,
  type SessionPeer,
  ticketBytes,
} from '../../contracts/sessions.ts'
import type { RoutingTables } from '../../protocols/qmail/routing.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import { mailboxOwner } from '../../stores/users/mailbox-owner.ts'
import type { Clock } from '../../system/clock.ts'
import { type Log, printable } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import type { Locals } from './locals.ts'
import { type Ticket, ticketMilliseconds, type Tickets } from './tickets.ts'

/** A front that lies may lie fast: its tickets that are not good are told of so often. */
const toldMilliseconds = 10_000

export interface OpenerSetting {
  readonly tickets: Tickets
  readonly users: Pick<UserLookup, 'lookup'>
  readonly locals: Pick<Locals, 'sessionFor'>
  readonly random: Random
  readonly clock: Clock
  readonly log: Log
  /** Only in a demo that root started. */
  readonly rootMayReceive: boolean
  /** Undefined: control/me and control/locals are missing. */
  tables(): RoutingTables | undefined
}

interface Owner {
  readonly user: ByteString
  readonly uid: number
  readonly gid: number
  readonly home: ByteString
}

export class SessionOpener {
  private readonly setting: OpenerSetting
  private readonly startedAt: number
  private badTickets = 0
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(setting: OpenerSetting) {
    this.setting = setting
    this.startedAt = setting.clock.monotonic()
  }

  async open({ ref, ticket, peer }: OpenRequest): Promise<OpenReply> {
    const { tickets, log } = this.setting
    const known = tickets.present(ticket, peer)
    if (known === undefined) {
      this.noteBadTicket(peer)
      return { kind: 'refused', ref, why: 'unknown' }
    }
    try {
      const owner = await this.ownerOf(known)
      if (typeof owner === 'string') return { kind: 'refused', ref, why: owner }
      return await this.openFor(ref, ticket, known, owner)
    } catch (error) {
      log(`cannot open a session of ${printable(known.account)}: ${describeError(error)}`)
      return { kind: 'refused', ref, why: 'temporary' }
    }
  }

  private async openFor(ref: number, ticket: ByteString, known: Ticket, owner: Owner): Promise<OpenReply> {
    const { tickets, locals, random } = this.setting
    const token = random.bytes(ticketBytes).toString('latin1')
    const { user, uid, gid, home } = owner
    const { account, peer } = known
    const session = await locals.sessionFor(uid, gid, { token, account, user, home, peer })
    if (session === undefined) return { kind: 'refused', ref, why: 'busy' }
    if (!tickets.spent(ticket, session.isGone)) return { kind: 'refused', ref, why: 'unknown' }
    return { kind: 'opened', ref, path: session.path, token }
  }

  private noteBadTicket({ service, remoteIp }: SessionPeer): void {
    const { clock, log } = this.setting
    const now = clock.monotonic()
    this.badTickets++
    if (now - this.toldAt < toldMilliseconds) return
    this.toldAt = now
    // An honest front's may have been told to an lspawn before this one.
    const isFresh = now - this.startedAt < ticketMilliseconds
    const kind = isFresh ? 'warning' : 'alert'
    const many = this.badTickets > 1 ? ` (${this.badTickets} so far)` : ''
    log(`${kind}: login shows a ticket that is not good, for ${service} from ${printable(remoteIp)}${many}`)
  }

  private async ownerOf({ account, holder }: Ticket): Promise<Owner | Refusal> {
    const owner = holder.kind === 'user' ? holder : await this.lookUp(account)
    if (typeof owner === 'string') return owner
    return owner.uid === 0 && !this.setting.rootMayReceive ? 'no-mailbox' : owner
  }

  private async lookUp(account: ByteString): Promise<Owner | Refusal> {
    const tables = this.setting.tables()
    if (tables === undefined) return 'temporary'
    const owner = await mailboxOwner(account, tables, this.setting.users)
    if (owner === 'none') return 'no-mailbox'
    return owner === 'unknown' ? 'temporary' : owner
  }
}
