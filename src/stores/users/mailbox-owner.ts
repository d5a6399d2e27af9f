/** Which mailbox an account name stands for, by the same routing and lookup as a delivery: an address of users/assign, of a
 *  system user, or the user's bare name.
 *  Fails:  as UserLookup does. */
import type { ByteString } from '../../base/byte-string.ts'
import { routeRecipient, type RoutingTables } from '../../protocols/qmail/routing.ts'
import type { UserRecord } from '../../protocols/qmail/users-lookup.ts'
import type { UserLookup } from './lookup-user.ts'

/** `none`: no mailbox here has this name. `unknown`: it cannot be determined now. */
export type MailboxOwner = UserRecord | 'none' | 'unknown'

/** Only a mailbox of exactly this name counts: no extension, and not the alias account's mail. */
export async function mailboxOwner(
  account: ByteString,
  tables: RoutingTables,
  users: Pick<UserLookup, 'lookup'>,
): Promise<MailboxOwner> {
  const { channel, address } = routeRecipient(account, tables)
  if (channel !== 'local') return 'none'
  const found = await users.lookup(address.slice(0, address.lastIndexOf('@')))
  if (found.kind === 'failed') return found.failure.class === 5 ? 'none' : 'unknown'
  const { dash, ext } = found.record
  return dash === '' && ext === '' ? found.record : 'none'
}
