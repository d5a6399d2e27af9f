/** What a ticket leads to: the user's own `local`, which has been told of the session.
 *  Knows:  who an account is, by the routing and the lookup that deliver its mail. Never: what is said in a session.
 *  Fails:  a refusal of the sessions contract; never throws. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { OpenReply, OpenRequest, Refusal } from '../../contracts/sessions.ts'
import { routeRecipient, type RoutingTables } from '../../protocols/qmail/routing.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import { type Log, printable } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { ticketBytes } from '../../contracts/sessions.ts'
import type { Locals } from './locals.ts'
import type { Ticket, Tickets } from './tickets.ts'

export interface OpenerSetting {
  readonly tickets: Tickets
  readonly users: Pick<UserLookup, 'lookup'>
  readonly locals: Pick<Locals, 'sessionFor'>
  readonly random: Random
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

  constructor(setting: OpenerSetting) {
    this.setting = setting
  }

  async open({ ref, ticket, peer }: OpenRequest): Promise<OpenReply> {
    const { tickets, log } = this.setting
    const known = tickets.present(ticket, peer)
    if (known === undefined) {
      log(`alert: login shows a ticket that is not good, for ${peer.service} from ${printable(peer.remoteIp)}`)
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
    tickets.spent(ticket, session.isGone)
    return { kind: 'opened', ref, path: session.path, token }
  }

  private async ownerOf({ account, holder }: Ticket): Promise<Owner | Refusal> {
    const owner = holder.kind === 'user' ? holder : await this.lookUp(account)
    if (typeof owner === 'string') return owner
    return owner.uid === 0 && !this.setting.rootMayReceive ? 'no-mailbox' : owner
  }

  /** A mailbox is where mail for exactly this name goes: not an extension, not what belongs to nobody. */
  private async lookUp(account: ByteString): Promise<Owner | Refusal> {
    const tables = this.setting.tables()
    if (tables === undefined) return 'temporary'
    const { channel, address } = routeRecipient(account, tables)
    if (channel !== 'local') return 'no-mailbox'
    const found = await this.setting.users.lookup(address.slice(0, address.lastIndexOf('@')))
    if (found.kind === 'report') return found.report.letter === 'D' ? 'no-mailbox' : 'temporary'
    const { user, uid, gid, home, dash } = found.record
    return dash === '' ? { user, uid, gid, home } : 'no-mailbox'
  }
}
