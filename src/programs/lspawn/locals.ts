/** The `local` processes: at most one current one a uid, a bounded number in all, least recently used goes first.
 *  Keys are never used twice, by whatever process; what was resolved lately is told to a new process of the same uid
 *  too, since the queue remembers a resolution for a few seconds.
 *  Fails:  `keyFor` rejects if a process cannot be had. */
import { describeError } from '../../base/outcome.ts'
import type { Assignment, SessionGrant, ToLocal } from '../../contracts/assign.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'

/** What `Locals` needs of a process; LocalProcess is the real one. */
export interface LocalHandle {
  readonly started: Promise<void>
  /** Where it takes sessions; undefined: nowhere. */
  readonly sessionPath: string | undefined
  tell(message: ToLocal): void
  letGo(): void
}
export type StartLocal = (uid: number, gid: number, onExit: (how: string) => void) => LocalHandle

export interface LocalsLimits {
  readonly residentMax: number
  /** Of one process; then it is replaced. */
  readonly keysMax: number
  /** Processes, with those that were retired and still have sessions: beyond, no session is begun for a new one. */
  readonly runningMax: number
}
export const localsLimits: LocalsLimits = { residentMax: 100, keysMax: 20_000, runningMax: 1000 }
/** Longer than the queue remembers a resolution, shorter than an idle `local` lives. */
const recentMilliseconds = 20_000
/** A process that ended badly within this is not started again for as long: those who ask wait. */
const crashPauseMilliseconds = 2_000

interface Known {
  readonly assignment: Assignment
  usedAt: number
}

interface Resident {
  readonly uid: number
  readonly gid: number
  readonly handle: LocalHandle
  readonly known: Map<string, Known>
  usedAt: number
}

export interface OpenedSession {
  readonly path: string
  /** Its process has ended. */
  isGone(): boolean
}

export class Locals {
  private readonly clock: Clock
  private readonly log: Log
  private readonly startLocal: StartLocal
  private readonly limits: LocalsLimits
  private readonly residents = new Map<number, Resident>()
  private readonly running = new Set<LocalHandle>()
  private readonly pausedUntil = new Map<number, number>()
  private lastKey: number
  private stopping = false
  private onQuiet: () => void = () => undefined

  constructor(clock: Clock, random: Random, log: Log, startLocal: StartLocal, limits: LocalsLimits = localsLimits) {
    this.clock = clock
    this.log = log
    this.startLocal = startLocal
    this.limits = limits
    // Not from one: keys of an lspawn before this one may still be on their way.
    this.lastKey = random.bytes(4).readUInt32LE()
  }

  /** The key under which the uid's `local` knows this; it has been told when the promise resolves. */
  async keyFor(uid: number, gid: number, meaning: Omit<Assignment, 'key'>): Promise<number> {
    await this.pauseOver(uid)
    if (this.stopping) throw new Error('stopping')
    let resident = this.residents.get(uid)
    if (resident !== undefined && resident.gid !== gid)
      throw new Error(`uid ${uid} has group ${gid} here and ${resident.gid} elsewhere: one process has one group`)
    const identity = JSON.stringify(meaning)
    if (resident !== undefined && !resident.known.has(identity) && resident.known.size >= this.limits.keysMax) {
      this.retire(resident)
      resident = undefined
    }
    resident ??= this.start(uid, gid, new Map())
    const now = this.clock.monotonic()
    resident.usedAt = now
    let known = resident.known.get(identity)
    if (known === undefined) {
      known = { assignment: { ...meaning, key: this.nextKey() }, usedAt: now }
      resident.known.set(identity, known)
      const { handle } = resident
      const { assignment } = known
      await handle.started
      handle.tell({ kind: 'assignment', ...assignment })
      return assignment.key
    }
    known.usedAt = now
    await resident.handle.started
    return known.assignment.key
  }

  /** Where the uid's `local` takes the session that it has just been told of. Undefined: there are too many processes. */
  async sessionFor(uid: number, gid: number, grant: SessionGrant): Promise<OpenedSession | undefined> {
    await this.pauseOver(uid)
    if (this.stopping) throw new Error('stopping')
    const known = this.residents.get(uid)
    if (known === undefined && this.running.size >= this.limits.runningMax) return undefined
    if (known !== undefined && known.gid !== gid)
      throw new Error(`uid ${uid} has group ${gid} here, ${known.gid} elsewhere`)
    const resident = known ?? this.start(uid, gid, new Map())
    resident.usedAt = this.clock.monotonic()
    const { handle } = resident
    await handle.started
    if (handle.sessionPath === undefined) throw new Error('it takes no sessions')
    handle.tell({ kind: 'session', ...grant })
    return { path: handle.sessionPath, isGone: () => !this.running.has(handle) }
  }

  /** Also those that were retired: nobody remembers which of them has whose sessions. */
  tellAll(message: Extract<ToLocal, { kind: 'revoke' | 'close' }>): void {
    for (const handle of this.running)
      handle.started.then(
        () => handle.tell(message),
        () => undefined,
      )
  }

  /** All finish what they have; resolves when the last is gone. */
  async stop(): Promise<void> {
    this.stopping = true
    const quiet = new Promise<void>((resolve) => {
      this.onQuiet = resolve
    })
    for (const handle of this.running) handle.letGo()
    if (this.running.size === 0) this.onQuiet()
    await quiet
  }

  private start(uid: number, gid: number, known: Map<string, Known>): Resident {
    this.makeRoom()
    const startedAt = this.clock.monotonic()
    const handle = this.startLocal(uid, gid, (how) => this.exited(resident, startedAt, how))
    const resident: Resident = { uid, gid, handle, known, usedAt: startedAt }
    this.residents.set(uid, resident)
    this.running.add(handle)
    handle.started.then(
      () => {
        if (this.stopping) handle.letGo()
      },
      (error: unknown) => {
        this.log(`alert: cannot start a local for uid ${uid}: ${describeError(error)}`)
        this.forget(resident)
        this.pause(uid)
      },
    )
    return resident
  }

  private makeRoom(): void {
    if (this.residents.size < this.limits.residentMax) return
    let oldest: Resident | undefined
    for (const resident of this.residents.values()) {
      if (oldest === undefined || resident.usedAt < oldest.usedAt) oldest = resident
    }
    if (oldest !== undefined) this.retire(oldest)
  }

  private retire(resident: Resident): void {
    this.residents.delete(resident.uid)
    resident.handle.started.then(
      () => resident.handle.tell({ kind: 'retire' }),
      () => undefined,
    )
  }

  private exited(resident: Resident, startedAt: number, how: string): void {
    const wasCurrent = this.residents.get(resident.uid) === resident
    this.forget(resident)
    const bad = how !== 'exit 0'
    if (bad) this.log(`local of uid ${resident.uid} ended: ${how}`)
    if (!wasCurrent) return
    if (bad && this.clock.monotonic() - startedAt < crashPauseMilliseconds) {
      this.pause(resident.uid)
      this.clock.after(crashPauseMilliseconds, () => this.restartIfWanted(resident))
    } else this.restartIfWanted(resident)
  }

  /** It left while the queue was being told to use it. */
  private restartIfWanted(resident: Resident): void {
    if (this.stopping || this.residents.has(resident.uid)) return
    const since = this.clock.monotonic() - recentMilliseconds
    const recent = [...resident.known].filter(([, { usedAt }]) => usedAt >= since)
    if (recent.length === 0) return
    const { handle } = this.start(resident.uid, resident.gid, new Map(recent))
    handle.started.then(
      () => {
        for (const [, { assignment }] of recent) handle.tell({ kind: 'assignment', ...assignment })
      },
      () => undefined,
    )
  }

  private pause(uid: number): void {
    if (this.pausedUntil.size > 10 * this.limits.residentMax) this.pausedUntil.clear()
    this.pausedUntil.set(uid, this.clock.monotonic() + crashPauseMilliseconds)
  }

  /** Mail for a uid whose process has just crashed waits a little, rather than for the next retry. */
  private async pauseOver(uid: number): Promise<void> {
    const until = this.pausedUntil.get(uid)
    if (until === undefined) return
    const rest = until - this.clock.monotonic()
    if (rest > 0) await new Promise<void>((resolve) => this.clock.after(rest, resolve))
    if (this.pausedUntil.get(uid) === until) this.pausedUntil.delete(uid)
  }

  private forget(resident: Resident): void {
    if (this.residents.get(resident.uid) === resident) this.residents.delete(resident.uid)
    this.running.delete(resident.handle)
    if (this.stopping && this.running.size === 0) this.onQuiet()
  }

  private nextKey(): number {
    this.lastKey = (this.lastKey + 1) % 0x1_0000_0000
    return this.lastKey
  }
}
