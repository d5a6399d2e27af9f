/** What happens to a recipient: whose it is, and under which key that user's `local` knows it.
 *  Knows:  the order of qmail-lspawn's checks. Never: mail; sees nothing from the network but an address.
 *  Fails:  a report with qmail-lspawn's text; never throws. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Report } from '../../contracts/deliver.ts'
import { lspawnReports } from '../../protocols/qmail/program-exit.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import { type Log, printable } from '../../system/log.ts'
import type { Locals } from './locals.ts'

export type Resolution =
  | { readonly kind: 'resolved'; readonly uid: number; readonly key: number }
  | { readonly kind: 'unresolved'; readonly report: Report }

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

  async resolve(recipient: ByteString): Promise<Resolution> {
    const at = recipient.lastIndexOf('@')
    if (at < 0) return unresolved(lspawnReports.noHost)
    if (at === 0) return unresolved(lspawnReports.trash)
    const local = recipient.slice(0, at)
    const { users, locals, defaultDelivery, rootMayReceive, log } = this.setting
    const found = await users.lookup(local)
    if (found.kind === 'report') {
      if (found.reason !== '') log(`alert: cannot look up ${printable(recipient)}: ${found.reason}`)
      return unresolved(found.report)
    }
    const { uid, gid, ...fields } = found.record
    if (uid === 0 && !rootMayReceive) return unresolved(lspawnReports.root)
    try {
      const key = await locals.keyFor(uid, gid, { ...fields, local, domain: recipient.slice(at + 1), defaultDelivery })
      return { kind: 'resolved', uid, key }
    } catch (error) {
      log(`cannot deliver to ${printable(recipient)}: ${describeError(error)}`)
      return unresolved(lspawnReports.noProcess)
    }
  }
}

function unresolved(report: Report): Resolution {
  return { kind: 'unresolved', report }
}
