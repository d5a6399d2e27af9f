/** Connections that are ready for another message, kept for a short while, by a key of what they were made for.
 *  Knows:  how long, how many, how often. Never: opens one.
 *  A server that speaks or hangs up meanwhile (421, its own time limit) takes its connection out of here by itself. */
import type { Clock } from '../../system/clock.ts'
import type { Session } from './session.ts'

const idleMillisecondsMax = 10_000
const transactionsMax = 100
const idleConnectionsMax = 500
const sweepMilliseconds = 1_000

export interface Kept {
  readonly session: Session
  /** Messages it has carried. */
  transactions: number
  /** The last transaction failed: RSET comes before the next. */
  needsReset: boolean
}

interface Idle {
  readonly kept: Kept
  readonly until: number
}

export class ConnectionPool {
  private readonly clock: Clock
  private readonly idle = new Map<string, Idle[]>()
  private count = 0
  private sweeping = false
  private closed = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The one used last: those that are not needed grow old and go. */
  take(key: string): Kept | undefined {
    const list = this.idle.get(key)
    const found = list?.pop()
    if (list === undefined || found === undefined) return undefined
    if (list.length === 0) this.idle.delete(key)
    this.count--
    found.kept.session.connection.onLost = () => undefined
    return found.kept
  }

  /** Keeps it, or says QUIT if it is not worth keeping. */
  give(key: string, kept: Kept): void {
    const { connection } = kept.session
    const worthKeeping = connection.inStep && kept.transactions < transactionsMax && this.count < idleConnectionsMax
    if (!worthKeeping || this.closed) {
      connection.quit()
      return
    }
    const entry = { kept, until: this.clock.monotonic() + idleMillisecondsMax }
    const list = this.idle.get(key)
    if (list === undefined) this.idle.set(key, [entry])
    else list.push(entry)
    this.count++
    connection.onLost = () => this.remove(key, entry)
    this.sweepLater()
  }

  close(): void {
    this.closed = true
    this.quitAll(() => true)
  }

  private remove(key: string, entry: Idle): void {
    const list = this.idle.get(key)
    const at = list?.indexOf(entry) ?? -1
    if (list === undefined || at < 0) return
    list.splice(at, 1)
    this.count--
    if (list.length === 0) this.idle.delete(key)
  }

  private sweepLater(): void {
    if (this.sweeping) return
    this.sweeping = true
    this.clock.after(sweepMilliseconds, () => {
      this.sweeping = false
      const now = this.clock.monotonic()
      this.quitAll((entry) => entry.until <= now)
      if (this.count > 0) this.sweepLater()
    })
  }

  private quitAll(which: (entry: Idle) => boolean): void {
    // `quit` reports the loss, which takes the entry out: the lists are copied before.
    for (const entry of [...this.idle.values()].flat()) if (which(entry)) entry.kept.session.connection.quit()
  }
}
