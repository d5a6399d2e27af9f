/** `quaver account quota`: the limit in the Maildir's own `maildirsize`. */
import { fromText } from '../../base/byte-string.ts'
import type { Usage } from '../../protocols/maildir/quota.ts'
import type { Account } from '../../stores/accounts/accounts.ts'
import { countMaildir, readQuota, removeQuota, writeQuota } from '../../stores/maildir/quota-file.ts'
import { asOwner } from '../../system/as-owner.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { realRandom } from '../../system/random.ts'
import { formatBytes, parseSize } from './bytes.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { requireAccount } from './mailbox-account.ts'
import { print, printJson } from './output.ts'
import { changing } from './site-change.ts'

export async function quota(text: string, size: string | undefined, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const account = await requireAccount(home, text)
    const { address } = account
    const bytes = size === undefined || size === 'none' ? undefined : parseSize(size)
    if (size === 'none') await asOwner(account, async () => removeQuota(quickFiles, maildirOf(account)))
    else if (bytes !== undefined) await limitMaildir(account, bytes)
    const found = await measure(account)
    if (options.json === true) printJson({ address, ...found })
    else print(`${address}: ${describeUse(found)}`)
  })
}

/** Keeps a limit on the number of messages, if there is one. */
export async function limitMaildir(account: Account, bytes: number): Promise<void> {
  const root = maildirOf(account)
  await asOwner(account, async () => {
    const messages = readQuota(quickFiles, root)?.limit.messages
    return await writeQuota(quickFiles, realRandom, root, { bytes, messages })
  })
}

export interface MailboxUse {
  /** Null: no limit. */
  readonly quota: { readonly bytes: number | null; readonly messages: number | null } | null
  /** Null: it cannot be read. */
  readonly used: Usage | null
}

/** Counted now, with the account's own rights. */
export async function measure(account: Account): Promise<MailboxUse> {
  const root = maildirOf(account)
  return await asOwner(account, async () => {
    const limit = readQuota(quickFiles, root)?.limit
    const used = await countMaildir(quickFiles, root).catch(() => null)
    return {
      quota: limit === undefined ? null : { bytes: limit.bytes ?? null, messages: limit.messages ?? null },
      used,
    }
  })
}

export function describeUse({ quota: limit, used }: MailboxUse): string {
  const now = used === null ? 'use unknown' : `${formatBytes(used.bytes)} in ${messagesText(used.messages)}`
  if (limit === null) return `${now}, no quota`
  const limits = [
    ...(limit.bytes === null ? [] : [formatBytes(limit.bytes)]),
    ...(limit.messages === null ? [] : [messagesText(limit.messages)]),
  ]
  return `${now}, of ${limits.join(' and ')}`
}

function messagesText(count: number): string {
  return count === 1 ? '1 message' : `${count} messages`
}

function maildirOf({ maildir }: Account): string {
  return fromText(`${maildir}/`)
}
