/** Recent verdicts on passwords: a mail program logs in every few minutes, and each hash is expensive; and a telephone that
 *  repeats an old password should count as one guess.
 *  Never:  holds a password: only digests under a key that dies with the process. */
import type { ByteString } from '../../base/byte-string.ts'
import { FreshMap } from '../../base/fresh-map.ts'
import type { Clock } from '../../system/clock.ts'
import { hmacSha256 } from '../../system/digests.ts'
import type { Random } from '../../system/random.ts'

export interface RecentLimits {
  readonly countMax: number
  readonly milliseconds: number
}

export class RecentVerdicts {
  private readonly clock: Clock
  private readonly limits: RecentLimits
  private readonly key: ByteString
  private known: FreshMap<string>

  constructor(clock: Clock, random: Random, limits: RecentLimits) {
    this.clock = clock
    this.limits = limits
    this.known = new FreshMap(limits.countMax)
    this.key = random.bytes(32).toString('latin1')
  }

  /** The verdict added for the same password, while remembered. */
  find(who: readonly ByteString[], password: ByteString): string | undefined {
    return this.known.get(this.digest(who, password), this.clock.monotonic())
  }

  add(who: readonly ByteString[], password: ByteString, found: string): void {
    this.known.set(this.digest(who, password), found, this.clock.monotonic() + this.limits.milliseconds)
  }

  clear(): void {
    this.known = new FreshMap(this.limits.countMax)
  }

  /** Each field has its length before it, so that different fields never give the same text. */
  private digest(who: readonly ByteString[], password: ByteString): ByteString {
    return hmacSha256(this.key, [...who, password].map((field) => `${field.length}:${field}`).join(''))
  }
}
