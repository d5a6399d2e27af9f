/** Reads HOME/control. A value is what the last good read of its file said: a file that cannot be read, or holds no valid value
 *  (content.ts), is reported once by name and reason, and the value before it stays in force.
 *  Knows:  forms, defaults, when a changed file has settled. Never: writes; prints a secret.
 *  Fails:  never throws; see `problems`, and `unread` for files without which a program must not start. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { parseLine, parseList, parseMap, parseNumber } from '../../protocols/qmail/control-format.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { quantityOf, repeatedKeys, textFault, valueFault } from './content.ts'
import { type ControlFile, controlFiles, type ControlName, type NameOf } from './table.ts'

export const controlBytesMax: number = 8 * 1024 * 1024
/** A changed file is read once it has been unchanged for this long (editors and scripts write in steps). */
const settledMilliseconds = 1000

interface Slot {
  text: ByteString | undefined
  /** The file's state on disk when it was read: a changed stamp means a changed file. Empty: it could not be read. */
  stamp: string
  problem: string
  /** The file exists but was never read: not the same as absent. */
  isUnread: boolean
}

export class Control {
  readonly directory: string
  private readonly clock: Clock
  private readonly onProblem: (problem: string) => void
  private readonly slots = new Map<ControlName, Slot>()
  private readonly parsed = new Map<ControlName, unknown>()
  private checkedAt = 0

  constructor(directory: string, clock: Clock, onProblem: (problem: string) => void = () => undefined) {
    this.directory = directory
    this.clock = clock
    this.onProblem = onProblem
    for (const name of names) this.read(name)
  }

  line(name: NameOf<'line'>): ByteString {
    return this.optionalLine(name) ?? name
  }

  /** Undefined where the file is absent and has no fallback (control/me itself, or a fallback to an absent me). */
  optionalLine(name: NameOf<'line'>): ByteString | undefined {
    const text = this.slots.get(name)?.text
    if (text !== undefined) return this.once(name, () => parseLine(text))
    const { fallback }: ControlFile = controlFiles[name]
    if (fallback === 'me' && name !== 'me') return this.optionalLine('me')
    return fallback === undefined ? undefined : String(fallback)
  }

  number(name: NameOf<'number'>): number {
    const text = this.slots.get(name)?.text
    const file: ControlFile = controlFiles[name]
    return (text === undefined ? undefined : parseNumber(text, quantityOf(file))) ?? controlFiles[name].fallback
  }

  /** Undefined if the file is absent. */
  list(name: NameOf<'list'>): readonly ByteString[] | undefined {
    const text = this.slots.get(name)?.text
    if (text !== undefined) return this.once(name, () => parseList(text))
    const { fallback }: ControlFile = controlFiles[name]
    const me = fallback === 'me' ? this.optionalLine('me') : undefined
    return me === undefined ? undefined : this.once(name, () => [me])
  }

  /** Undefined if the file is absent. Keys are in lower case. */
  map(name: NameOf<'map'>): ReadonlyMap<ByteString, ByteString> | undefined {
    const text = this.slots.get(name)?.text
    const { joinsRepeats }: ControlFile = controlFiles[name]
    return text === undefined ? undefined : this.once(name, () => parseMap(text, joinsRepeats === true))
  }

  /** The whole file, for one with a form of its own; undefined if it is absent. */
  text(name: ControlName): ByteString | undefined {
    return this.slots.get(name)?.text
  }

  isPresent(name: ControlName): boolean {
    return this.slots.get(name)?.text !== undefined
  }

  /** What is wrong now, one sentence a file. */
  problems(): string[] {
    return [...this.slots.values()].map((slot) => slot.problem).filter((problem) => problem !== '')
  }

  /** Problems of the program's files that exist and could not be read even once. */
  unread(program: string): string[] {
    return [...this.slots]
      .filter(([name, { isUnread }]) => isUnread && (controlFiles[name].readBy as readonly string[]).includes(program))
      .map(([, { problem }]) => problem)
  }

  /** Fails, at a program's start, if a file that its administrator wrote could not be read. */
  demandFor(program: string, fail: (text: string) => never): void {
    const unread = this.unread(program)
    if (unread.length > 0) fail(`unable to read controls: ${unread.join('; ')}`)
  }

  /** Looks at `live` files at most once a second; cheap enough to call before every session. */
  refresh(): void {
    const now = this.clock.monotonic()
    if (now - this.checkedAt < settledMilliseconds) return
    this.checkedAt = now
    for (const name of liveNames) this.readIfSettled(name)
  }

  /** At HUP: reads the named files whatever their state. */
  reload(which: readonly ControlName[]): void {
    for (const name of which) this.read(name)
  }

  private readIfSettled(name: ControlName): void {
    const { stamp, modifiedMs } = this.look(name)
    if (stamp === this.slots.get(name)?.stamp) return
    if (modifiedMs !== undefined && Math.abs(this.clock.now() - modifiedMs) < settledMilliseconds) return
    this.read(name)
  }

  private look(name: ControlName): { stamp: string; modifiedMs: number | undefined } {
    try {
      const facts = statSync(join(this.directory, name))
      return { stamp: `${facts.ino}:${facts.size}:${facts.mtimeMs}:${facts.ctimeMs}`, modifiedMs: facts.mtimeMs }
    } catch (error) {
      return { stamp: errorCode(error), modifiedMs: undefined }
    }
  }

  private read(name: ControlName): void {
    const before = this.slots.get(name)
    const { stamp } = this.look(name)
    const slot: Slot = { text: before?.text, stamp, problem: '', isUnread: false }
    const file: ControlFile = controlFiles[name]
    let isOthers = false
    try {
      const path = join(this.directory, name)
      const facts = statSync(path)
      if (facts.size > controlBytesMax) throw new Error(`${facts.size} bytes, limit ${controlBytesMax}`)
      if (file.secret === true && (facts.mode & 0o077) !== 0) throw new Error('readable by others; chmod 600 it')
      const text = fromBuffer(readFileSync(path))
      const unreadable = textFault(text)
      if (unreadable !== undefined) throw new Error(unreadable)
      const fault = valueFault(file, text)
      // As qmail does with a number without digits: the value before stays, at first the default.
      if (fault === undefined) slot.text = text
      else slot.problem = `control/${name}: ${fault}; the value before stays in force`
      slot.problem ||= repeatProblem(name, text)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') slot.text = undefined
      else {
        slot.isUnread = before?.text === undefined
        // Only the account of its reader can open a secret: there, `unread` and `problems` tell of it.
        isOthers = file.secret === true && errorCode(error) === 'EACCES'
        const consequence = slot.isUnread ? 'nothing is known of it' : 'the value before stays in force'
        slot.problem = `control/${name}: ${describeError(error)}; ${consequence}`
        // Read again soon: the cause may be mended in a directory above, which the stamp does not show.
        slot.stamp = ''
      }
    }
    this.slots.set(name, slot)
    this.parsed.clear()
    if (slot.problem !== '' && slot.problem !== before?.problem && !isOthers) this.onProblem(slot.problem)
  }

  private once<T>(name: ControlName, parse: () => T): T {
    if (!this.parsed.has(name)) this.parsed.set(name, parse())
    return this.parsed.get(name) as T
  }
}

/** A key on two lines with different values: only the last counts. */
function repeatProblem(name: ControlName, text: ByteString): string {
  const file: ControlFile = controlFiles[name]
  const [first] = file.form === 'map' && file.joinsRepeats !== true ? repeatedKeys(text) : []
  if (first === undefined) return ''
  const [one, other] = first.lines
  return `control/${name}: lines ${one} and ${other} are both about '${first.key}'; line ${other} counts`
}

const names = Object.keys(controlFiles) as ControlName[]
const liveNames = names.filter((name) => controlFiles[name].reread === 'live')
