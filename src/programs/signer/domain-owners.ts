/** Who owns a domain: root and the alias account; policy, for the domain that it sends reports from; users listed in
 *  control/dkimusers; and owners of accounts in it, hosted ones or users of the machine.
 *  Fails:  throws if users/assign or the accounts of the machine cannot be read. */
import type { ByteString } from '../../base/byte-string.ts'
import { isListedFor, type Lines } from '../../protocols/dkim/signing-rules.ts'
import type { RoutingTables } from '../../protocols/qmail/routing.ts'
import { listAccounts } from '../../stores/accounts/accounts.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import { mailboxOwner } from '../../stores/users/mailbox-owner.ts'
import type { Account } from '../../system/accounts.ts'
import type { Files } from '../../system/files.ts'

export interface OwnersSetting {
  readonly home: Home
  readonly files: Files
  readonly users: Pick<UserLookup, 'lookup'>
  tables(): RoutingTables | undefined
  /** control/dkimusers. */
  listed(): Lines
  aliasUid: number | undefined
  /** The uid of policy, which sends reports (DMARC). */
  reporterUid: number | undefined
  /** The domain that it sends them from. */
  reportsDomain(): ByteString | undefined
  find(uid: number): Promise<Account | undefined>
}

export class DomainOwners {
  private readonly setting: OwnersSetting
  private hosted: { readonly stamp: string; readonly byUid: ReadonlyMap<number, ReadonlySet<ByteString>> } | undefined

  constructor(setting: OwnersSetting) {
    this.setting = setting
  }

  async owns(uid: number, domain: ByteString): Promise<boolean> {
    const { aliasUid, listed, find, reporterUid, reportsDomain } = this.setting
    if (uid === 0 || uid === aliasUid) return true
    if (uid === reporterUid && domain === reportsDomain()) return true
    const hosted = await this.hostedDomains()
    if (hosted.get(uid)?.has(domain) === true) return true
    const account = await find(uid)
    if (account === undefined) return false
    return isListedFor(account.name, domain, listed()) || (await this.isUsers(account, uid, domain))
  }

  /** A user of the machine who gets the domain's mail for their own name. */
  private async isUsers({ name }: Account, uid: number, domain: ByteString): Promise<boolean> {
    const tables = this.setting.tables()
    if (tables === undefined) throw new Error('neither control/locals nor control/me can be read')
    const owner = await mailboxOwner(`${name}@${domain}`, tables, this.setting.users)
    if (owner === 'unknown') throw new Error(`nobody can tell now whose ${name}@${domain} is`)
    return owner !== 'none' && owner.uid === uid
  }

  private async hostedDomains(): Promise<ReadonlyMap<number, ReadonlySet<ByteString>>> {
    const { files, home } = this.setting
    const facts = await files.facts(`${home.users}/assign`)
    const stamp = facts === undefined ? '' : `${facts.modifiedMs} ${facts.bytes}`
    if (this.hosted?.stamp === stamp) return this.hosted.byUid
    const byUid = new Map<number, Set<ByteString>>()
    for (const { uid, address } of await listAccounts(files, home)) {
      const domains = byUid.get(uid) ?? new Set()
      byUid.set(uid, domains.add(address.slice(address.lastIndexOf('@') + 1)))
    }
    this.hosted = { stamp, byUid }
    return byUid
  }
}
