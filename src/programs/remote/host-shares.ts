/** Limits the attempts to each remote host at once: however many domains lead to it, a slow one holds only this many slots. A
 *  host is an IPv4 address or the /64 of an IPv6 address. */
import { peerKey } from '../../servers/listener/peer.ts'
import type { Clock } from '../../system/clock.ts'

/** A quick host has a place again within this time; a slow one must not be waited for in a slot. */
const waitMillisecondsMax = 1_000

interface Host {
  running: number
  /** First come, first served. */
  readonly waiting: Set<() => void>
}

export class HostShares {
  private readonly clock: Clock
  private readonly hosts = new Map<string, Host>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** False if the host has its share, now and a moment later; otherwise `leave` must follow. */
  async enter(address: string, most: number): Promise<boolean> {
    const key = peerKey(address)
    const host = this.hosts.get(key) ?? { running: 0, waiting: new Set() }
    this.hosts.set(key, host)
    if (host.running >= most) return await this.wait(host)
    host.running++
    return true
  }

  leave(address: string): void {
    const key = peerKey(address)
    const host = this.hosts.get(key)
    if (host === undefined) return
    const [next] = host.waiting
    // The place passes to the next attempt.
    if (next !== undefined) next()
    else if (--host.running === 0) this.hosts.delete(key)
  }

  private wait(host: Host): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (entered: boolean): void => {
        cancel()
        host.waiting.delete(enter)
        resolve(entered)
      }
      const enter = (): void => settle(true)
      host.waiting.add(enter)
      const cancel = this.clock.after(waitMillisecondsMax, () => settle(false))
    })
  }
}
