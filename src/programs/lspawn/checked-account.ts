/** Whose account a checked login is, whatever name was typed: what is said of an account (disabled, its sessions, its
 *  senders) holds for the user that the check has shown, in all spellings that the program takes.
 *  Fails:  rejects when nobody can tell now who has a uid. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { accountBytesMax } from '../../contracts/sessions.ts'
import { type Account, findAccount, findAccountByUid } from '../../system/accounts.ts'
import type { CheckedUser } from './password-checker.ts'

/** What the machine says of its users. */
export interface MachineUsers {
  byName(name: ByteString): Promise<Account | undefined>
  byUid(uid: number): Promise<Account | undefined>
}

const thisMachine: MachineUsers = { byName: findAccount, byUid: findAccountByUid }

/** USER is believed where it has the uid that the kernel saw, or is an address; else the uid says it, if the home is that
 *  user's own. Many people may share a uid and have homes of their own: they are known by what they typed. */
export async function checkedAccount(
  { user, uid, home }: CheckedUser,
  typed: ByteString,
  users: MachineUsers = thisMachine,
): Promise<ByteString> {
  if ((await users.byName(user))?.uid === uid || user.includes('@')) return lowerAscii(user).slice(0, accountBytesMax)
  const account = await users.byUid(uid)
  return account?.home === home ? lowerAscii(account.name) : typed
}
