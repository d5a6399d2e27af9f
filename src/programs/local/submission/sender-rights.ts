/** Whose address is it: may this account send as it?
 *  Knows:  an address is the account's own if mail to it goes to the account's home, by the tables and the lookup that
 *          deliver it; control/senders names others.
 *  Never:  goes by the uid: accounts that share one are different people.
 *  Fails:  `unknown` when nobody can tell now. */
import { type ByteString, lowerAscii } from '../../../base/byte-string.ts'
import { lspawnStatuses } from '../../../protocols/qmail/delivery-status.ts'
import { domainOf, routeRecipient, type RoutingTables } from '../../../protocols/qmail/routing.ts'
import type { UserLookup } from '../../../stores/users/lookup-user.ts'
import { type Log, printable } from '../../../system/log.ts'

export type Right = 'own' | 'foreign' | 'unknown'

/** In one message; more authors are nobody's. */
const askedMax = 100

export interface RightsSetting {
  readonly home: ByteString
  /** What control/senders says of the account: addresses and `@domain`s; undefined: nothing. */
  readonly listed: ByteString | undefined
  /** Undefined: there is neither control/locals nor control/me. */
  readonly tables: RoutingTables | undefined
  readonly users: Pick<UserLookup, 'lookup'>
  readonly log: Log
}

export class SenderRights {
  private readonly setting: RightsSetting
  private readonly listed: ReadonlySet<ByteString>

  constructor(setting: RightsSetting) {
    this.setting = setting
    const entries = (setting.listed ?? '').split(',').map((entry) => lowerAscii(entry.replace(/^[ \t]+|[ \t]+$/g, '')))
    this.listed = new Set(entries.filter((entry) => entry !== ''))
  }

  /** `address` as an envelope has it: without quoting, the domain behind the last `@`. */
  async of(address: ByteString): Promise<Right> {
    const folded = lowerAscii(address)
    const domain = domainOf(folded)
    if (domain === '') return 'foreign'
    if (this.listed.has(folded) || this.listed.has(`@${domain}`)) return 'own'
    const { tables, users, home, log } = this.setting
    if (tables === undefined) return 'unknown'
    const route = routeRecipient(address, tables)
    if (route.channel === 'remote') return 'foreign'
    const found = await users.lookup(route.address.slice(0, route.address.lastIndexOf('@')))
    if (found.kind === 'user') return found.record.home === home ? 'own' : 'foreign'
    if (found.failure === lspawnStatuses.noAlias) return 'foreign'
    log(`alert: cannot look up ${printable(address)}: ${found.reason}`)
    return 'unknown'
  }

  /** The first of the addresses that is not the account's own, and why; undefined if all are. */
  async firstForeign(
    addresses: Iterable<ByteString>,
  ): Promise<{ readonly address: ByteString; readonly right: Right } | undefined> {
    const asked = new Set<ByteString>()
    for (const address of addresses) {
      if (asked.has(address)) continue
      asked.add(address)
      const right = asked.size > askedMax ? 'foreign' : await this.of(address)
      if (right !== 'own') return { address, right }
    }
    return undefined
  }
}
