/** The `local` processes: one a uid, from its start to its end. It alone knows which mailboxes have a session, and what is
 *  counted of an account: a second one beside it would know neither.
 *  A process is asked to leave where others need the room; it does when it has no sessions and no deliveries, and whoever
 *  wants the uid meanwhile is served by it. Keys are never used twice, by whatever process; what was resolved lately is
 *  told to the next process of the same uid too, since the queue remembers a resolution for a few seconds.
 *  Fails:  `keyFor` and `sessionFor` reject if a process cannot be had. */
import { describeError } from '../../base/outcome.ts'
import type { Assignment, SessionGrant, ToLocal } from '../../contracts/assign.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { type PlaceLimits, Places } from './places.ts'

/** What `Locals` needs of a process; LocalProcess is the real one. */
export interface LocalHandle {
  /** It serves. */
  readonly started: Promise<void>
  /** Where it takes sessions; undefined: nowhere. */
  readonly sessionPath: string | undefined
  tell(message: ToLocal): void
  letGo(): void
}
export type StartLocal = (uid: number, gid: number, onExit: (how: string) => void) => LocalHandle

export interface LocalsLimits extends PlaceLimits {
  /** Of one process; then it is to forget those that nobody has used for a while. */
  readonly keysMax: number
}
/** Of one process, however lately they were used. */
const keysTimesMax = 5
const keyMilliseconds = 600_000
/** Longer than the queue remembers a resolution, shorter than an idle `local` lives. */
const recentMilliseconds = 20_000
/** A process that ended badly within this is not started again for as long: those who ask wait. Twice as long each time;
 *  whoever would have to wait longer than this is told to come again. */
const crashPauseMilliseconds = 2_000
const crashPauseMillisecondsMax = 60_000
/** One that has lived so long is not one that cannot be started. */
const goodMilliseconds = 60_000
const goodCrashesMax = 3
/** Whoever waits for a process that its user keeps from serving holds a place in the queue. */
const serveMillisecondsMax = 20_000
/** Until its uid is told, what waits for it holds a slot that is nobody's share. */
const beginMillisecondsMax = 1_000
/** Uids that are remembered after their process has gone. */
const goneMax = 1000

interface Known {
  readonly assignment: Assignment
  usedAt: number
}

type KnownKeys = Map<string, Known>

interface Crashes {
  readonly count: number
  readonly pausedUntil: number
}

interface Resident {
  readonly uid: number
  readonly gid: number
  /** In the order of their use. */
  readonly known: KnownKeys
  /** Rejects if it cannot be had. */
  readonly serves: Promise<LocalHandle>
  readonly askedAt: number
  /** Since its place was found; undefined: it waits for one. */
  startedAt: number | undefined
  /** Once it serves. */
  process: LocalHandle | undefined
  usedAt: number
  /** It has been asked to leave since it was used last. */
  isAsked: boolean
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
  private readonly keysMax: number
  private readonly places: Places
  private readonly residents = new Map<number, Resident>()
  private readonly crashes = new Map<number, Crashes>()
  /** Of processes that have left. */
  private readonly left = new Map<number, KnownKeys>()
  private lastKey: number
  private stopping = false
  private onQuiet: () => void = () => undefined

  constructor(clock: Clock, random: Random, log: Log, startLocal: StartLocal, limits: LocalsLimits) {
    this.clock = clock
    this.log = log
    this.startLocal = startLocal
    this.keysMax = limits.keysMax
    this.places = new Places(clock, limits, (count) => this.askToLeave(count))
    // Not from one: keys of an lspawn before this one may still be on their way.
    this.lastKey = random.bytes(4).readUInt32LE()
  }

  /** The key under which the uid's `local` knows this; if it is slow to begin, it will be told then. `messageId`: if it has to
   *  be started, it is in this message's turn. */
  async keyFor(uid: number, gid: number, meaning: Omit<Assignment, 'key'>, messageId?: number): Promise<number> {
    const resident = await this.residentOf(uid, gid, messageId)
    const identity = JSON.stringify(meaning)
    const before = resident.known.get(identity)
    if (before === undefined) this.makeRoomForKey(resident)
    const known = before ?? { assignment: { ...meaning, key: this.nextKey() }, usedAt: 0 }
    known.usedAt = this.clock.monotonic()
    resident.known.delete(identity)
    resident.known.set(identity, known)
    if (resident.process === undefined) await this.begun(resident)
    else if (before === undefined) resident.process.tell({ kind: 'assignment', ...known.assignment })
    return known.assignment.key
  }

  /** Where the uid's `local` takes the session that it has just been told of. Undefined: there are too many processes. */
  async sessionFor(uid: number, gid: number, grant: SessionGrant): Promise<OpenedSession | undefined> {
    if (!this.residents.has(uid) && this.places.isFull) return undefined
    const resident = await this.residentOf(uid, gid)
    const process = await this.serving(resident)
    if (process.sessionPath === undefined) throw new Error('it takes no sessions')
    process.tell({ kind: 'session', ...grant })
    return { path: process.sessionPath, isGone: () => this.residents.get(uid) !== resident }
  }

  tellAll(message: Extract<ToLocal, { kind: 'revoke' | 'close' }>): void {
    for (const { serves } of this.residents.values())
      serves.then(
        (process) => process.tell(message),
        () => undefined,
      )
  }

  /** Memory is short: whoever has had nothing to do for this long may go. */
  shrink(idleMilliseconds: number): void {
    const since = this.clock.monotonic() - idleMilliseconds
    for (const resident of this.residents.values()) if (resident.usedAt <= since) this.ask(resident)
  }

  /** All finish what they have; resolves when the last is gone. */
  async stop(): Promise<void> {
    this.stopping = true
    const quiet = new Promise<void>((resolve) => {
      this.onQuiet = resolve
    })
    for (const { process } of this.residents.values()) process?.letGo()
    if (this.residents.size === 0) this.onQuiet()
    await quiet
  }

  private async residentOf(uid: number, gid: number, messageId?: number): Promise<Resident> {
    await this.pauseOver(uid)
    if (this.stopping) throw new Error('stopping')
    const there = this.residents.get(uid)
    if (there !== undefined && there.gid !== gid)
      throw new Error(`uid ${uid} has group ${gid} here and ${there.gid} elsewhere: one process has one group`)
    const resident = there ?? this.start(uid, gid, messageId)
    resident.usedAt = this.clock.monotonic()
    resident.isAsked = false
    return resident
  }

  private start(uid: number, gid: number, messageId?: number): Resident {
    const left = this.left.get(uid) ?? []
    this.left.delete(uid)
    const known = new Map([...left].filter(([, { usedAt }]) => this.isRecent(usedAt)))
    const served = Promise.withResolvers<LocalHandle>()
    const askedAt = this.clock.monotonic()
    const rest = { askedAt, startedAt: undefined, process: undefined, usedAt: 0, isAsked: false }
    const resident: Resident = { uid, gid, known, serves: served.promise, ...rest }
    this.residents.set(uid, resident)
    this.begin(resident, messageId).then(served.resolve, served.reject)
    served.promise.catch((error: unknown) => {
      this.log(`alert: cannot start a local for uid ${uid}: ${describeError(error)}`)
    })
    return resident
  }

  private async begin(resident: Resident, messageId: number | undefined): Promise<LocalHandle> {
    const { uid, gid, known } = resident
    let serves: (() => void) | undefined
    try {
      serves = await this.places.take(messageId)
      const startedAt = this.clock.monotonic()
      resident.startedAt = startedAt
      if (this.stopping) throw new Error('stopping')
      const process = this.startLocal(uid, gid, (how) => this.exited(resident, startedAt, how))
      await process.started
      serves()
      resident.process = process
      for (const { assignment } of known.values()) process.tell({ kind: 'assignment', ...assignment })
      if (this.stopping) process.letGo()
      return process
    } catch (error) {
      serves?.()
      this.forget(resident)
      if (resident.startedAt !== undefined) {
        this.places.giveBack()
        this.noteCrash(uid, 0)
      }
      throw error
    }
  }

  /** It serves, or is slow to: who waits on for it is counted as its user's by the queue, which has to know the uid for that. */
  private async begun(resident: Resident): Promise<void> {
    const rest = Math.max(0, resident.askedAt + beginMillisecondsMax - this.clock.monotonic())
    const slow = Promise.withResolvers<void>()
    const cancel = this.clock.after(rest, slow.resolve)
    try {
      await Promise.race([this.serving(resident), slow.promise])
    } finally {
      cancel()
    }
  }

  /** Rejects as well if it takes too long to begin: it may serve those who ask later. */
  private async serving(resident: Resident): Promise<LocalHandle> {
    if (resident.process !== undefined) return resident.process
    const late = Promise.withResolvers<never>()
    const look = (): void => {
      const { startedAt } = resident
      const rest =
        startedAt === undefined ? serveMillisecondsMax : startedAt + serveMillisecondsMax - this.clock.monotonic()
      if (rest > 0) cancel = this.clock.after(rest, look)
      else late.reject(new Error(`the local of uid ${resident.uid} does not begin to serve`))
    }
    let cancel = (): void => undefined
    look()
    try {
      return await Promise.race([resident.serves, late.promise])
    } finally {
      cancel()
    }
  }

  private askToLeave(count: number): void {
    const candidates = [...this.residents.values()].filter(({ process, isAsked }) => process !== undefined && !isAsked)
    for (const resident of candidates.sort((a, b) => a.usedAt - b.usedAt).slice(0, count)) this.ask(resident)
  }

  private ask(resident: Resident): void {
    if (resident.isAsked || resident.process === undefined) return
    resident.isAsked = true
    resident.process.tell({ kind: 'retire' })
  }

  private makeRoomForKey(resident: Resident): void {
    const { uid, known } = resident
    if (known.size < this.keysMax) return
    this.forgetKeys(resident, keyMilliseconds)
    if (known.size < keysTimesMax * this.keysMax) return
    // A flood of addresses that are nobody's is not to keep the others of their uid waiting: these the queue has forgotten.
    this.forgetKeys(resident, recentMilliseconds)
    if (known.size >= keysTimesMax * this.keysMax) throw new Error(`${known.size} addresses of uid ${uid} at once`)
  }

  private forgetKeys({ known, process }: Resident, unusedMilliseconds: number): void {
    const since = this.clock.monotonic() - unusedMilliseconds
    for (const [identity, { usedAt, assignment }] of known) {
      if (usedAt > since) break
      known.delete(identity)
      process?.tell({ kind: 'forget', key: assignment.key })
    }
  }

  private exited(resident: Resident, startedAt: number, how: string): void {
    const { uid, gid, known, isAsked } = resident
    this.forget(resident)
    this.places.giveBack()
    const isBad = how !== 'exit 0'
    if (isBad) this.log(`local of uid ${uid} ended: ${how}`)
    const pause = isBad ? this.noteCrash(uid, this.clock.monotonic() - startedAt) : 0
    if (!isBad) this.crashes.delete(uid)
    if (this.left.size >= goneMax) this.left.clear()
    this.left.set(uid, known)
    // It left while the queue was being told to use it. One that was asked to leave had been told so before.
    if (isAsked || ![...known.values()].some(({ usedAt }) => this.isRecent(usedAt))) return
    const again = (): void => {
      if (!this.stopping && !this.residents.has(uid)) this.start(uid, gid)
    }
    if (pause === 0) again()
    else this.clock.after(pause, again)
  }

  private isRecent(usedAt: number): boolean {
    return this.clock.monotonic() - usedAt <= recentMilliseconds
  }

  /** How long it is not started again. */
  private noteCrash(uid: number, livedMilliseconds: number): number {
    const count = livedMilliseconds < goodMilliseconds ? (this.crashes.get(uid)?.count ?? 0) + 1 : 1
    const dear = livedMilliseconds < crashPauseMilliseconds ? count : count - goodCrashesMax
    const pause = dear <= 0 ? 0 : Math.min(crashPauseMilliseconds * 2 ** (dear - 1), crashPauseMillisecondsMax)
    if (this.crashes.size >= goneMax) this.crashes.clear()
    this.crashes.set(uid, { count, pausedUntil: this.clock.monotonic() + pause })
    return pause
  }

  /** Mail for a uid whose process has just crashed waits a little, rather than for the next retry. */
  private async pauseOver(uid: number): Promise<void> {
    const rest = (this.crashes.get(uid)?.pausedUntil ?? 0) - this.clock.monotonic()
    if (rest > crashPauseMilliseconds) throw new Error(`the local of uid ${uid} has ended badly several times`)
    if (rest > 0) await new Promise<void>((resolve) => this.clock.after(rest, resolve))
  }

  private forget(resident: Resident): void {
    if (this.residents.get(resident.uid) === resident) this.residents.delete(resident.uid)
    if (this.stopping && this.residents.size === 0) this.onQuiet()
  }

  private nextKey(): number {
    this.lastKey = (this.lastKey + 1) % 0x1_0000_0000
    return this.lastKey
  }
}
