/** Which Maildirs have a POP3 session: one at a time (RFC 1939 §4), so that what a session counts stays as it was.
 *  Knows:  a Maildir by device and inode, whatever its path. Never: of other processes: a uid has one. */
import type { ByteString } from '../../base/byte-string.ts'
import type { QuickFiles } from '../../system/quick-files.ts'

export class MaildropLocks {
  private readonly taken = new Set<string>()

  /** What gives it back, to be called once; undefined if another session has it. Throws if there is no such directory. */
  take(files: QuickFiles, maildir: ByteString): (() => void) | undefined {
    files.enter(maildir)
    const facts = files.facts(maildir)
    const key = facts === undefined ? maildir : `${facts.dev}:${facts.ino}`
    if (this.taken.has(key)) return undefined
    this.taken.add(key)
    return () => this.taken.delete(key)
  }
}
