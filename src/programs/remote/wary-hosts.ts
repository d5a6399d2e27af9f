/** Addresses where an extension that they offer failed lately: for an hour it is not used with them. */
import { FreshMap } from '../../base/fresh-map.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'

const rememberedMilliseconds: number = 60 * 60_000
const addressesMax = 1_000

export class WaryHosts {
  private readonly clock: Clock
  private readonly log: Log
  private readonly what: string
  private readonly addresses = new FreshMap<true>(addressesMax)

  /** `what` names the thing in the log: TLS, PIPELINING. */
  constructor(what: string, clock: Clock, log: Log) {
    this.what = what
    this.clock = clock
    this.log = log
  }

  has(address: string): boolean {
    return this.addresses.get(address, this.clock.monotonic()) === true
  }

  add(address: string, why: string): void {
    this.addresses.set(address, true, this.clock.monotonic() + rememberedMilliseconds)
    this.log(`warning: ${this.what} with ${address} failed, trying without: ${why.replace(/[^ -~]/g, '?')}`)
  }
}
