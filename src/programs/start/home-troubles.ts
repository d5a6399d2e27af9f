/** Troubles of a home as a whole, besides its programs': disk, certificates, clock. Checked regularly, and on request.
 *  Knows:  since when each trouble exists. Never: mends anything. */
import { type StatsFs, statSync } from 'node:fs'
import { access, constants, stat, statfs } from 'node:fs/promises'
import { describeError } from '../../base/outcome.ts'
import { type Trouble, troubleIn } from '../../contracts/troubles.ts'
import type { Home } from '../../stores/home/layout.ts'
import { type Clock, wallTime } from '../../system/clock.ts'
import type { ProgramTrouble } from './fleet.ts'

/** A file system with less than the smaller of both is full. */
const roomBytesMin: number = 16 * 1024 * 1024
const roomShareMin = 0.01
const lookMilliseconds = 60_000
/** Difference between wall clock and monotonic clock from one check to the next. */
const clockJumpMilliseconds = 300_000
/** How long a jump is reported. */
const clockToldMilliseconds = 3_600_000

export interface KnownTrouble extends ProgramTrouble {
  /** Milliseconds since 1970 when it was first seen. */
  readonly sinceMs: number
}

export interface TroubleSources {
  programs(): Promise<readonly ProgramTrouble[]>
  certificates(): readonly Trouble[]
  log(): Trouble | undefined
}

export class HomeTroubles {
  private readonly home: Home
  private readonly sources: TroubleSources
  private readonly clock: Clock
  /** By the monotonic clock. */
  private since = new Map<string, number>()
  private last: { readonly wall: number; readonly monotonic: number }
  private jump: { readonly text: string; readonly until: number } | undefined
  private cancel: () => void = () => undefined

  constructor(home: Home, sources: TroubleSources, clock: Clock) {
    this.home = home
    this.sources = sources
    this.clock = clock
    this.last = { wall: clock.now(), monotonic: clock.monotonic() }
  }

  /** Until `end`. */
  begin(): void {
    this.cancel = this.clock.after(lookMilliseconds, () => void this.look().finally(() => this.begin()))
  }

  end(): void {
    this.cancel()
    this.begin = () => undefined
  }

  async look(): Promise<KnownTrouble[]> {
    const log = this.sources.log()
    const ofHome = [...(await diskTroubles(this.home)), ...this.clockTroubles(), ...this.sources.certificates()]
    const own = log === undefined ? ofHome : [log, ...ofHome]
    const all = [...own.map((trouble) => ({ program: 'start', ...trouble })), ...(await this.sources.programs())]
    const before = this.since
    this.since = new Map()
    return all.map((trouble) => {
      const key = `${trouble.program} ${trouble.kind} ${trouble.where}`
      const since = before.get(key) ?? this.clock.monotonic()
      this.since.set(key, since)
      return { ...trouble, sinceMs: wallTime(since, this.clock) }
    })
  }

  private clockTroubles(): Trouble[] {
    const [wall, monotonic] = [this.clock.now(), this.clock.monotonic()]
    const jumped = wall - this.last.wall - (monotonic - this.last.monotonic)
    this.last = { wall, monotonic }
    if (Math.abs(jumped) > clockJumpMilliseconds) {
      const text = `it was set by ${Math.round(jumped / 1000)} s at ${new Date(wall).toISOString()}`
      this.jump = { text, until: monotonic + clockToldMilliseconds }
    }
    if (this.jump !== undefined && this.jump.until > monotonic)
      return [{ kind: 'clock', where: '', text: this.jump.text }]
    const changed = statSync(this.home.control, { throwIfNoEntry: false })?.mtimeMs ?? 0
    if (changed < wall + 86_400_000) return []
    return [
      { kind: 'clock', where: '', text: `${this.home.control} was changed at ${new Date(changed).toISOString()}` },
    ]
  }
}

/** Of the directories that mail and its state are written to: a full disk is reported once, for the first of them. */
async function diskTroubles(home: Home): Promise<Trouble[]> {
  const found: Trouble[] = []
  const full = new Set<number>()
  for (const path of new Set([home.queue, home.mail, home.log, home.auth, home.run])) {
    try {
      const { dev } = await stat(path)
      const text = fullness(await statfs(path))
      if (text !== undefined && !full.has(dev)) found.push({ kind: 'disk-full', where: path, text })
      if (text !== undefined) full.add(dev)
      await access(path, constants.W_OK)
    } catch (error) {
      const text = describeError(error)
      const trouble = troubleIn(text)
      // Some are made only when needed.
      if (trouble?.kind !== 'missing') found.push({ kind: trouble?.kind ?? 'unknown', where: path, text })
    }
  }
  return found
}

/** The space left on a full file system, for writers other than root; undefined: there is room. */
export function fullness(room: Pick<StatsFs, 'bavail' | 'blocks' | 'bsize' | 'files' | 'ffree'>): string | undefined {
  const { bavail, blocks, bsize, files, ffree } = room
  const bytesMin = Math.min(roomBytesMin, blocks * bsize * roomShareMin)
  // Some file systems do not count files, and say 0 of 0.
  const isFull = bavail * bsize < bytesMin || (files > 0 && ffree === 0)
  return isFull ? `${bavail * bsize} bytes and ${ffree} files are left` : undefined
}
