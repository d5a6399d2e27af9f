/** Which Maildirs have a POP3 session: one at a time (RFC 1939 §4), so that a session's message numbers stay valid.
 *  Knows:  a Maildir by device and inode, whatever its path; its holder. Never: of other processes: a uid has only one. */
import type { ByteString } from '../../base/byte-string.ts'
import type { QuickFiles } from '../../system/quick-files.ts'

/** To be released once. */
export interface MaildropLock {
  release(): void
}

/** `Holder`: what a session that has a Maildir tells of itself to the next one that wants it. */
export class MaildropLocks<Holder> {
  private readonly holders = new Map<string, Holder>()

  /** A lock, or its present holder. Throws if there is no such directory. */
  take(files: QuickFiles, maildir: ByteString, holder: Holder): MaildropLock | { readonly takenBy: Holder } {
    files.enter(maildir)
    const facts = files.facts(maildir)
    const key = facts === undefined ? maildir : `${facts.dev}:${facts.ino}`
    const takenBy = this.holders.get(key)
    if (takenBy !== undefined) return { takenBy }
    this.holders.set(key, holder)
    return { release: () => this.holders.delete(key) }
  }
}
