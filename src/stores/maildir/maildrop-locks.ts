/** Which Maildirs have a POP3 session: one at a time (RFC 1939 §4), so that what a session counts stays as it was.
 *  Knows:  a Maildir by device and inode, whatever its path; who has it. Never: of other processes: a uid has one. */
import type { ByteString } from '../../base/byte-string.ts'
import type { QuickFiles } from '../../system/quick-files.ts'

/** To be given back once. */
export interface MaildropLock {
  release(): void
}

/** `Holder`: what the one who has a Maildir says of itself to the next who wants it. */
export class MaildropLocks<Holder> {
  private readonly holders = new Map<string, Holder>()

  /** A lock, or who has it. Throws if there is no such directory. */
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
