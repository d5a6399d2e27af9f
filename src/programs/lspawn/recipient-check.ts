/** Would mail for this local address find a mailbox? Answered by the code that delivers: the same lookup, the same
 *  search for `.qmail` files. Only their existence is looked at, by stat; no file is opened, no process started.
 *  Fails:  never; what cannot be found out is `unknown`. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { RecipientVerdict } from '../../contracts/recipients.ts'
import { searchDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import type { UserRecord } from '../../protocols/qmail/users-lookup.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import { type Clock, within } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'

export interface Finding {
  readonly verdict: RecipientVerdict
  readonly rule: ByteString
}

/** A home on a file system that hangs must not hold up the others. */
const statMillisecondsMax = 4_000

export async function checkRecipient(
  address: ByteString,
  users: Pick<UserLookup, 'lookup'>,
  clock: Clock,
): Promise<Finding> {
  const at = address.lastIndexOf('@')
  if (at < 0) return { verdict: 'absent', rule: 'no host name' }
  // An empty local part is thrown away successfully, as qmail-lspawn does.
  if (at === 0) return { verdict: 'exists', rule: 'empty local part' }
  const found = await users.lookup(address.slice(0, at))
  if (found.kind === 'report') {
    const verdict = found.report.letter === 'D' ? 'absent' : 'unknown'
    return { verdict, rule: found.reason === '' ? found.report.text.trimEnd() : found.reason }
  }
  try {
    return await within(clock, statMillisecondsMax, 'home directory', searchMailbox(found.record))
  } catch (error) {
    return { verdict: 'unknown', rule: describeError(error) }
  }
}

async function searchMailbox({ user, home, dash, ext }: UserRecord): Promise<Finding> {
  if (dash === '') return { verdict: 'exists', rule: `user ${user}` }
  const { names, absent } = searchDotQmail(dash, ext)
  for (const { name } of names) {
    if (name.includes('/')) continue
    const path = join(home, name)
    if (await isFile(path)) return { verdict: 'exists', rule: path }
  }
  if (absent === 'default delivery') return { verdict: 'exists', rule: `user ${user}` }
  return { verdict: 'absent', rule: `no ${join(home, names[0]?.name ?? '')}, and no default` }
}

/** Throws where existence cannot be told. */
async function isFile(path: ByteString): Promise<boolean> {
  try {
    return (await stat(toBuffer(path))).isFile()
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return false
    throw error
  }
}
