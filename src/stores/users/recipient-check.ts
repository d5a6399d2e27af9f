/** Would mail for this local address find a mailbox? Answered as the delivery would: the same lookup, the same rules for the home
 *  and its `.qmail` files, as far as their modes and owners tell; what would be put off is `unknown`. No file is opened but
 *  `maildirsize` where the mail would go into a Maildir by default; no link of a user's is followed; no process is started.
 *  Fails:  never; what cannot be found out is `unknown`. */
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { RecipientVerdict } from '../../contracts/recipients.ts'
import { searchDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import { dotQmailBytesMax, dotQmailModeFault, homeModeFault } from '../../protocols/qmail/home-modes.ts'
import type { UserRecord } from '../../protocols/qmail/users-lookup.ts'
import { isMailboxFull } from '../maildir/fullness.ts'
import type { UserLookup } from './lookup-user.ts'
import { type Clock, within } from '../../system/clock.ts'
import {
  type Elsewhere,
  type GuardedDirectory,
  lookInto,
  mayRead,
  type Viewer,
} from '../../system/guarded-directory.ts'

export interface Finding {
  readonly verdict: RecipientVerdict
  readonly rule: ByteString
}

/** A home on a file system that hangs must not hold up the others. */
const lookMillisecondsMax = 4_000

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
  if (found.kind === 'failed') {
    const { class: failureClass, peerText } = found.failure
    return { verdict: failureClass === 5 ? 'absent' : 'unknown', rule: found.reason || peerText.trimEnd() }
  }
  const { user, home, uid, gid } = found.record
  try {
    const looked = within(clock, lookMillisecondsMax, 'home directory', look(found.record, clock, defaultDelivery))
    const finding = await looked
    // Its owner put the link there: the delivery, which has its owner's rights, will see.
    return finding === 'elsewhere' ? { verdict: 'exists', rule: `user ${user}, behind a link of ${home}` } : finding
  } catch (error) {
    return { verdict: 'unknown', rule: `${home}, as uid ${uid} and gid ${gid}: ${describeError(error)}` }
  }
}

function look(record: UserRecord, clock: Clock, defaultDelivery: ByteString): Promise<Finding | Elsewhere> {
  return lookInto(record.home, record, (directory) => searchMailbox(directory, record, clock, defaultDelivery))
}

/** As the delivery does: the home first, then the files in order. */
async function searchMailbox(
  directory: GuardedDirectory,
  record: UserRecord,
  clock: Clock,
  defaultDelivery: ByteString,
): Promise<Finding> {
  const { home, dash, ext } = record
  const fault = homeModeFault(directory.facts.mode)
  if (fault !== undefined) return { verdict: 'unknown', rule: `${home}: ${fault.peerText}` }
  const { names, absent } = searchDotQmail(dash, ext)
  for (const { name } of names) {
    if (name.includes('/')) continue
    const facts = await directory.find(name)
    if (facts === undefined) continue
    const rule = join(home, name)
    if (facts === 'elsewhere') return { verdict: 'exists', rule }
    if (!facts.isFile()) continue
    const trouble = troubleOf(facts, record)
    if (trouble !== undefined) return { verdict: 'unknown', rule: `${rule}: ${trouble}` }
    // An empty one means the default delivery; one that says something may mean anything.
    return facts.size > 0 ? { verdict: 'exists', rule } : await checkRoom(record, clock, defaultDelivery)
  }
  if (absent === 'default delivery') return await checkRoom(record, clock, defaultDelivery)
  return { verdict: 'absent', rule: `no ${join(home, names[0]?.name ?? '')}, and no default` }
}

/** Why a delivery would be put off. */
function troubleOf(facts: Stats, viewer: Viewer): string | undefined {
  if (!mayRead(facts, viewer)) return `not readable for uid ${viewer.uid}`
  if (facts.size > dotQmailBytesMax) return `${facts.size} bytes, limit ${dotQmailBytesMax}`
  return dotQmailModeFault(facts.mode)?.peerText
}

async function checkRoom(record: UserRecord, clock: Clock, defaultDelivery: ByteString): Promise<Finding> {
  const { user, home } = record
  const exists: Finding = { verdict: 'exists', rule: `user ${user}` }
  if (!/^[./][^\n]*\/$/.test(defaultDelivery)) return exists
  const maildir = defaultDelivery.startsWith('/') ? defaultDelivery : `${home}/${defaultDelivery}`
  try {
    const isFull = await lookInto(maildir, record, ({ path }) => isMailboxFull(`${path}/`, clock))
    return isFull === true ? { verdict: 'full', rule: join(maildir, 'maildirsize') } : exists
  } catch {
    // Whether there is a Maildir is the delivery's affair: it may be made until then.
    return exists
  }
}
