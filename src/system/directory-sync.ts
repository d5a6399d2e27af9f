/** Directory syncs shared between the callers that wait for them: one sync of a directory is in flight at a time, and callers
 *  that changed the directory before the next one starts share that one.
 *  Fails:  a failed sync fails all callers that shared it. */
import type { ByteString } from '../base/byte-string.ts'
import { nextTurn } from './spool.ts'

interface Rounds {
  /** Waits for the running sync, then syncs for all callers that joined until then. */
  next: Promise<void> | undefined
  running: Promise<void> | undefined
}

export class DirectorySync {
  private readonly syncDirectory: (path: ByteString) => Promise<void>
  private readonly rounds = new Map<ByteString, Rounds>()

  constructor(syncDirectory: (path: ByteString) => Promise<void>) {
    this.syncDirectory = syncDirectory
  }

  /** Resolves when every change made to the directory before this call survives a power cut. */
  sync(path: ByteString): Promise<void> {
    let rounds = this.rounds.get(path)
    if (rounds === undefined) {
      rounds = { next: undefined, running: undefined }
      this.rounds.set(path, rounds)
    }
    // The running one may have begun before the caller's change: only the next one covers it.
    rounds.next ??= this.startAfter(path, rounds)
    return rounds.next
  }

  private async startAfter(path: ByteString, rounds: Rounds): Promise<void> {
    await Promise.allSettled([rounds.running])
    // To the end of this turn, so that deliveries that come this far in the same turn share.
    await nextTurn()
    rounds.running = rounds.next
    rounds.next = undefined
    try {
      await this.syncDirectory(path)
    } finally {
      if (rounds.next === undefined) this.rounds.delete(path)
    }
  }
}
