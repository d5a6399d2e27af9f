/** One log line a day for each topic, instead of one for each question. Topics come from outside (zones, lines): beyond
 *  `topicsMax` new ones are not logged until the next day. */
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'

const dayMilliseconds = 86_400_000
const topicsMax = 256

export class DailyAlert {
  private readonly clock: Clock
  private readonly log: Log
  private readonly toldAt = new Map<string, number>()

  constructor(clock: Clock, log: Log) {
    this.clock = clock
    this.log = log
  }

  tell(topic: string, text: string): void {
    const now = this.clock.monotonic()
    for (const [known, at] of this.toldAt) if (now - at >= dayMilliseconds) this.toldAt.delete(known)
    if (this.toldAt.has(topic) || this.toldAt.size >= topicsMax) return
    this.toldAt.set(topic, now)
    this.log(`alert: ${text}`)
  }
}
