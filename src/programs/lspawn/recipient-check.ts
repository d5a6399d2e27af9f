/** Would mail for this local address find a mailbox? Answered by the code that delivers: the same lookup, the same
 *  search for `.qmail` files. Only their existence is looked at, by stat; no file is opened but `maildirsize` where the
 *  mail would go into a Maildir by default; no process is started.
 *  Fails:  never; what cannot be found out is `unknown`. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { RecipientVerdict } from '../../contracts/recipients.ts'
import { searchDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import type { UserRecord } from '../../protocols/qmail/users-lookup.ts'
import { isMailboxFull } from '../../stores/maildir/fullness.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import { type Clock, within } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'

export interface Finding {
  readonly verdict: RecipientVerdict
  readonly rule: ByteString
}

/** A home on a file system that hangs must not hold up the others. */
const statMillisecondsMax = 4_000

export interface RecipientWorld {
  readonly users: Pick<UserLookup, 'lookup'>
  readonly clock: Clock
  /** What control/defaultdelivery says. */
  readonly defaultDelivery: ByteString
}

export async function checkRecipient(
  address: ByteString,
  { users, clock, defaultDelivery }: RecipientWorld,
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
    return await within(
      clock,
      statMillisecondsMax,
      'home directory',
      searchMailbox(found.record, clock, defaultDelivery),
    )
  } catch (error) {
    const { dash, user } = found.record
    // An address itself is there, whatever its home says.
    if (dash === '') return { verdict: 'exists', rule: `user ${user}` }
    return { verdict: 'unknown', rule: describeError(error) }
  }
}

async function searchMailbox(record: UserRecord, clock: Clock, defaultDelivery: ByteString): Promise<Finding> {
  const { home, dash, ext } = record
  const { names, absent } = searchDotQmail(dash, ext)
  for (const { name } of names) {
    if (name.includes('/')) continue
    const path = join(home, name)
    const bytes = await fileBytes(path)
    // An empty one means the default delivery; one that says something may mean anything.
    if (bytes !== undefined && bytes > 0) return { verdict: 'exists', rule: path }
    if (bytes === 0) return await checkRoom(record, clock, defaultDelivery)
  }
  if (absent === 'default delivery') return await checkRoom(record, clock, defaultDelivery)
  return { verdict: 'absent', rule: `no ${join(home, names[0]?.name ?? '')}, and no default` }
}

async function checkRoom({ user, home }: UserRecord, clock: Clock, defaultDelivery: ByteString): Promise<Finding> {
  const exists: Finding = { verdict: 'exists', rule: `user ${user}` }
  if (!/^[./][^\n]*\/$/.test(defaultDelivery)) return exists
  const maildir = defaultDelivery.startsWith('/') ? defaultDelivery : `${home}/${defaultDelivery}`
  return (await isMailboxFull(maildir, clock)) ? { verdict: 'full', rule: join(maildir, 'maildirsize') } : exists
}

/** Undefined if there is no such file. Throws where existence cannot be told. */
async function fileBytes(path: ByteString): Promise<number | undefined> {
  try {
    const facts = await stat(toBuffer(path))
    return facts.isFile() ? facts.size : undefined
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined
    throw error
  }
}
