/** Passwords that were right lately: a mail program logs in every few minutes, and each hash is dear.
 *  Never:  holds a password: only digests under a key that dies with the process. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Clock } from '../../system/clock.ts'
import { hmacSha256 } from '../../system/digests.ts'
import type { Random } from '../../system/random.ts'
import { successesMax, successMilliseconds } from './limits.ts'

export class SuccessCache {
  private readonly clock: Clock
  private readonly key: ByteString
  private readonly known = new Map<ByteString, { readonly label: string; readonly untilMs: number }>()

  constructor(clock: Clock, random: Random) {
    this.clock = clock
    this.key = random.bytes(32).toString('latin1')
  }

  /** The label of the password; undefined if it is not known to be right. */
  find(account: ByteString, password: ByteString): string | undefined {
    const entry = this.known.get(this.digest(account, password))
    return entry !== undefined && entry.untilMs > this.clock.monotonic() ? entry.label : undefined
  }

  add(account: ByteString, password: ByteString, label: string): void {
    const digest = this.digest(account, password)
    this.known.delete(digest)
    // The first to have come is the first to expire.
    for (const [oldest, { untilMs }] of this.known) {
      if (this.known.size < successesMax && untilMs > this.clock.monotonic()) break
      this.known.delete(oldest)
    }
    this.known.set(digest, { label, untilMs: this.clock.monotonic() + successMilliseconds })
  }

  clear(): void {
    this.known.clear()
  }

  /** An account holds no NUL. */
  private digest(account: ByteString, password: ByteString): ByteString {
    return hmacSha256(this.key, `${account}\0${password}`)
  }
}
