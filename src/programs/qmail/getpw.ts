/** qmail-getpw(8): which account of the machine gets a mailbox's mail, where users/assign says nothing. */
import { lspawnStatuses } from '../../protocols/qmail/delivery-status.ts'
import { Control } from '../../stores/control/control.ts'
import { accountName } from '../../stores/home/account-name.ts'
import { AccountBook, UserLookup } from '../../stores/users/lookup-user.ts'
import { realClock } from '../../system/clock.ts'
import { type Call, exit } from './call.ts'

/** By lspawn's status. */
const exitCodes: ReadonlyMap<object, number> = new Map<object, number>([
  [lspawnStatuses.noAlias, 116],
  [lspawnStatuses.homeTrouble, 115],
])
const troubleCode = 118

export async function getpw(call: Call): Promise<number> {
  const [local] = call.args
  if (local === undefined) return exit.permanent
  const home = call.home()
  const overrides = new Control(home.control, realClock).map('roles')
  const accounts = new AccountBook(realClock)
  const users = new UserLookup(home, { accounts, alias: () => accounts.account(accountName(overrides, 'alias')) })
  const found = await users.lookupByAccounts(local)
  if (found.kind === 'failed') return exitCodes.get(found.failure) ?? troubleCode
  const { user, uid, gid, home: directory, dash, ext } = found.record
  call.out([user, uid, gid, directory, dash, ext].map((field) => `${field}\0`).join(''))
  return 0
}
