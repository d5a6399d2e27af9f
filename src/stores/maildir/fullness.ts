/** Is a Maildir certainly over its quota? For callers that may not count: only a recent count can say yes. Without a count in
 *  the last quarter of an hour the answer is no: the next message is let through, and its delivery counts anew and notices
 *  deletions.
 *  Never:  writes, follows a link at the last step of the path, waits for a pipe.
 *  Fails:  never; an unreadable `maildirsize` counts as not full. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { believedMilliseconds, isFull, maildirsizeBytesMax, parseMaildirsize } from '../../protocols/maildir/quota.ts'
import type { Clock } from '../../system/clock.ts'
import { pathOf } from '../../system/quick-files.ts'

const flags: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** `maildir` ends in a slash. Does not block this thread: the home may be on a file system that hangs. */
export async function isMailboxFull(maildir: ByteString, clock: Pick<Clock, 'now'>): Promise<boolean> {
  try {
    const file = await open(pathOf(`${maildir}maildirsize`), flags)
    try {
      const facts = await file.stat()
      const isYoung = Math.abs(clock.now() - facts.mtimeMs) < believedMilliseconds
      if (!facts.isFile() || !isYoung) return false
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maildirsizeBytesMax), 0, maildirsizeBytesMax, 0)
      const found = parseMaildirsize(fromBuffer(buffer.subarray(0, bytesRead)))
      return found !== undefined && found.isFresh && isFull(found)
    } finally {
      await file.close()
    }
  } catch {
    return false
  }
}
