/** Passwords that were judged lately, and what came of it: a mail program logs in every few minutes, and each hash is dear;
 *  and a telephone with last year's password asks again and again, but guesses only once.
 *  Never:  holds a password: only digests under a key that dies with the process. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Clock } from '../../system/clock.ts'
import { hmacSha256 } from '../../system/digests.ts'
import type { Random } from '../../system/random.ts'

export interface JudgedLimits {
  readonly countMax: number
  readonly milliseconds: number
}

export class JudgedPasswords {
  private readonly clock: Clock
  private readonly limits: JudgedLimits
  private readonly key: ByteString
  private readonly known = new Map<ByteString, { readonly found: string; readonly untilMs: number }>()

  constructor(clock: Clock, random: Random, limits: JudgedLimits) {
    this.clock = clock
    this.limits = limits
    this.key = random.bytes(32).toString('latin1')
  }

  /** What `add` was told of the same password, while it is remembered. */
  find(who: readonly ByteString[], password: ByteString): string | undefined {
    const entry = this.known.get(this.digest(who, password))
    return entry !== undefined && entry.untilMs > this.clock.monotonic() ? entry.found : undefined
  }

  add(who: readonly ByteString[], password: ByteString, found: string): void {
    const { countMax, milliseconds } = this.limits
    const digest = this.digest(who, password)
    this.known.delete(digest)
    // The first to have come is the first to expire.
    for (const [oldest, { untilMs }] of this.known) {
      if (this.known.size < countMax && untilMs > this.clock.monotonic()) break
      this.known.delete(oldest)
    }
    this.known.set(digest, { found, untilMs: this.clock.monotonic() + milliseconds })
  }

  clear(): void {
    this.known.clear()
  }

  /** Each field has its length before it: none can look like another. */
  private digest(who: readonly ByteString[], password: ByteString): ByteString {
    return hmacSha256(this.key, [...who, password].map((field) => `${field.length}:${field}`).join(''))
  }
}
