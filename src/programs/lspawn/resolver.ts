/** What happens to a recipient: whose it is, and under which key that user's `local` knows it.
 *  Knows:  the order of qmail-lspawn's checks. Never: mail; sees nothing from the network but an address.
 *  Fails:  a status with qmail-lspawn's text; never throws. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, type Status } from '../../base/outcome.ts'
import { lspawnStatuses } from '../../protocols/qmail/delivery-status.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import { type Log, printable } from '../../system/log.ts'
import type { Locals } from './locals.ts'

export type Resolution =
  | { readonly kind: 'resolved'; readonly uid: number; readonly key: number }
  | { readonly kind: 'unresolved'; readonly status: Status }

export interface ResolverSetting {
  readonly users: Pick<UserLookup, 'lookup'>
  readonly locals: Pick<Locals, 'keyFor'>
  readonly defaultDelivery: ByteString
  /** Only in a demo that root started. */
  readonly rootMayReceive: boolean
  readonly log: Log
}

export class Resolver {
  private readonly setting: ResolverSetting

  constructor(setting: ResolverSetting) {
    this.setting = setting
  }

  /** `messageId`: whose start of a process it is. */
  async resolve(recipient: ByteString, messageId: number): Promise<Resolution> {
    const at = recipient.lastIndexOf('@')
    if (at < 0) return unresolved(lspawnStatuses.noHost)
    if (at === 0) return unresolved(lspawnStatuses.trash)
    const local = recipient.slice(0, at)
    const { users, locals, defaultDelivery, rootMayReceive, log } = this.setting
    const found = await users.lookup(local)
    if (found.kind === 'failed') {
      const { failure, reason } = found
      if (reason !== '') log(`alert: cannot look up ${printable(recipient)}: ${reason}`)
      return unresolved({ ...failure, logText: reason })
    }
    const { uid, gid, ...fields } = found.record
    if (uid === 0 && !rootMayReceive) return unresolved(lspawnStatuses.root)
    try {
      const meaning = { ...fields, local, domain: recipient.slice(at + 1), defaultDelivery }
      const key = await locals.keyFor(uid, gid, meaning, messageId)
      return { kind: 'resolved', uid, key }
    } catch (error) {
      const logText = describeError(error)
      log(`cannot deliver to ${printable(recipient)}: ${logText}`)
      return unresolved({ ...lspawnStatuses.noProcess, logText })
    }
  }
}

function unresolved(status: Status): Resolution {
  return { kind: 'unresolved', status }
}
