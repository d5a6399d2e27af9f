/** Addresses whose TLS failed a short while ago: until then they are spoken to in clear, where nobody demands TLS. */
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'

const rememberedMilliseconds: number = 60 * 60_000
const addressesMax = 1_000

export class ClearHosts {
  private readonly clock: Clock
  private readonly log: Log
  private readonly until = new Map<string, number>()

  constructor(clock: Clock, log: Log) {
    this.clock = clock
    this.log = log
  }

  has(address: string): boolean {
    const until = this.until.get(address)
    if (until === undefined) return false
    if (until > this.clock.monotonic()) return true
    this.until.delete(address)
    return false
  }

  add(address: string, why: string): void {
    if (this.until.size >= addressesMax) this.until.clear()
    this.until.set(address, this.clock.monotonic() + rememberedMilliseconds)
    this.log(`warning: TLS with ${address} failed, trying without: ${why.replace(/[^ -~]/g, '?')}`)
  }
}
