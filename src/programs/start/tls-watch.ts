/** Gives the programs the certificates and keys of HOME/tls: read at the start, and again when changed and settled; with new
 *  ticket keys at each change, and once a day.
 *  Knows:  faults of the pairs in force: gone from the directory, out of date, not for this host.
 *  Fails:  a pair that cannot be used is named in the log once; the one before it stays in force, and so do the others. */
import { setInterval } from 'node:timers'
import { fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { type NamedPair, ticketKeysBytes, type TlsOrder } from '../../contracts/supervise.ts'
import { certificateTroubles } from '../../stores/home/certificate-troubles.ts'
import {
  namedTlsDirectories,
  readNamedTls,
  readTls,
  type TlsPair,
  type TlsState,
  tlsStamp,
} from '../../stores/home/tls-files.ts'
import type { Clock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { planTls } from './tls-order.ts'

const pollMilliseconds = 2000
const settledMilliseconds = 1000
/** A leaked ticket key reveals the TLS 1.2 sessions that were resumed with it. */
const ticketKeysMillisecondsMax = 86_400_000
const gone = 'cert.pem or key.pem is gone; what was in force before stays so until the programs are started again'

export interface TlsEvents {
  readonly onOrder: (order: TlsOrder) => void
  readonly onFault: (fault: string) => void
  /** A pair in force is faulty or gone. Each trouble is reported once while it lasts. */
  readonly onTrouble: (trouble: Trouble) => void
}

/** The name that mail programs connect to: control/me. */
export type OwnName = () => string | undefined

/** Resolves after the first check; goes on checking as long as the process runs. */
export async function watchTls(
  directory: string,
  ownName: OwnName,
  events: TlsEvents,
  clock: Clock,
): Promise<WatchedTls> {
  const watched = new WatchedTls(directory, ownName, events, clock)
  await watched.begin()
  let looking = false
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    void watched.look().finally(() => {
      looking = false
    })
  }, pollMilliseconds)
  timer.unref()
  return watched
}

export class WatchedTls {
  private readonly directory: string
  private readonly ownName: OwnName
  private readonly events: TlsEvents
  private readonly clock: Clock
  /** Of each directory as it was read last. */
  private readonly stamps = new Map<string, string>()
  private fallback: TlsPair | undefined
  /** The fault of each directory; without one its pair is in force. */
  private readonly faults = new Map<string, string>()
  private told: readonly string[] = []
  private named = new Map<string, NamedPair>()
  /** Faults of the pairs together that were reported. */
  private planFaults: readonly string[] = []
  private listFault = ''
  private ticketKeysSince = 0

  constructor(directory: string, ownName: OwnName, events: TlsEvents, clock: Clock) {
    this.directory = directory
    this.ownName = ownName
    this.events = events
    this.clock = clock
  }

  async begin(): Promise<TlsState> {
    this.stamps.set(this.directory, (await tlsStamp(this.directory)).stamp)
    const first = await readTls(this.directory)
    this.keep(this.directory, first, (pair) => (this.fallback = pair))
    await this.lookAtNamed(false)
    this.order()
    this.tell()
    return first
  }

  /** All that is wrong now. */
  troubles(): Trouble[] {
    const { directory, fallback } = this
    const found: Trouble[] = []
    for (const [where, fault] of this.faults) {
      const isGone = where === directory && fault === ''
      const text = fallback === undefined ? 'no cert.pem and key.pem' : gone
      found.push(
        isGone ? { kind: 'certificate-missing', where, text } : { kind: 'certificate-faulty', where, text: fault },
      )
    }
    if (fallback === undefined) return found
    const pairs = new Map<string, TlsPair>([[directory, fallback], ...this.named])
    found.push(...certificateTroubles(pairs, this.ownName(), this.clock.now()))
    return found
  }

  async look(): Promise<void> {
    let changed = false
    if (await this.isNew(this.directory, true))
      changed = this.keep(this.directory, await readTls(this.directory), (pair) => (this.fallback = pair))
    if (await this.lookAtNamed(true)) changed = true
    if (changed || this.clock.monotonic() - this.ticketKeysSince > ticketKeysMillisecondsMax) this.order()
    this.tell()
  }

  private tell(): void {
    const troubles = this.troubles().filter(({ kind }) => kind !== 'certificate-faulty')
    const keys = troubles.map(({ kind, where }) => `${kind} ${where}`)
    for (const [at, trouble] of troubles.entries())
      if (!this.told.includes(keys[at] ?? '')) this.events.onTrouble(trouble)
    this.told = keys
  }

  /** True if a pair came, went or changed. */
  private async lookAtNamed(settled: boolean): Promise<boolean> {
    const directories = await this.listNamed()
    let changed = false
    const before = this.named
    this.named = new Map()
    for (const directory of directories) {
      const known = before.get(directory)
      if (known !== undefined) this.named.set(directory, known)
      if (!(await this.isNew(directory, settled))) continue
      if (this.keep(directory, await readNamedTls(directory), (pair) => this.named.set(directory, pair))) changed = true
    }
    for (const directory of this.stamps.keys()) {
      if (directory === this.directory || directories.includes(directory)) continue
      this.stamps.delete(directory)
      this.faults.delete(directory)
      if (before.has(directory)) changed = true
    }
    return changed
  }

  /** If they cannot be listed, the known ones stay. */
  private async listNamed(): Promise<string[]> {
    try {
      const found = await namedTlsDirectories(this.directory)
      this.listFault = ''
      return found
    } catch (error) {
      const fault = describeError(error)
      if (fault !== this.listFault) this.events.onFault(fault)
      this.listFault = fault
      return [...this.named.keys()]
    }
  }

  private async isNew(directory: string, settled: boolean): Promise<boolean> {
    const { stamp, changedMs } = await tlsStamp(directory)
    if (stamp === this.stamps.get(directory)) return false
    if (settled && Math.abs(this.clock.now() - changedMs) < settledMilliseconds) return false
    this.stamps.set(directory, stamp)
    return true
  }

  private keep<Pair>(directory: string, state: TlsState<Pair>, keepPair: (pair: Pair) => void): boolean {
    if (state.kind === 'faulty') this.events.onFault(state.fault)
    if (state.kind !== 'pair') {
      this.faults.set(directory, state.kind === 'faulty' ? state.fault : '')
      return false
    }
    this.faults.delete(directory)
    keepPair(state.pair)
    return true
  }

  private order(): void {
    this.ticketKeysSince = this.clock.monotonic()
    if (this.fallback === undefined) return
    const { pairs, faults } = planTls(this.fallback, this.named)
    for (const fault of faults) if (!this.planFaults.includes(fault)) this.events.onFault(fault)
    this.planFaults = faults
    this.events.onOrder({ kind: 'tls', pairs, ticketKeys: fromBuffer(realRandom.bytes(ticketKeysBytes)) })
  }
}
