/** Addresses with which something that they offer went wrong a short while ago: until then it is not used with them. */
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'

const rememberedMilliseconds: number = 60 * 60_000
const addressesMax = 1_000

export class WaryHosts {
  private readonly clock: Clock
  private readonly log: Log
  private readonly what: string
  private readonly until = new Map<string, number>()

  /** `what` names the thing in the log: TLS, PIPELINING. */
  constructor(what: string, clock: Clock, log: Log) {
    this.what = what
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
    this.log(`warning: ${this.what} with ${address} failed, trying without: ${why.replace(/[^ -~]/g, '?')}`)
  }
}
