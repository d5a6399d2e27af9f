/** `quaver control show` and `check`: what HOME/control says, against the table of all control files. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { Control } from '../../stores/control/control.ts'
import { type ControlFile, controlFiles, type ControlName } from '../../stores/control/table.ts'
import { realClock } from '../../system/clock.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'

interface Shown {
  readonly name: string
  readonly present: boolean
  /** Lines of the file; undefined if it is not there, cannot be read, or is a secret. */
  readonly lines: readonly string[] | undefined
  readonly fallback: string | undefined
  readonly meaning: string
  readonly readBy: readonly string[]
  readonly reread: string
}

const names = Object.keys(controlFiles) as ControlName[]
const linesShownMax = 20

export function show(name: string | undefined, options: GlobalOptions & { all?: true }): void {
  const home = requireHome(options)
  const control = new Control(home.control, realClock)
  if (name !== undefined) {
    const known = names.find((one) => one === name)
    if (known === undefined)
      throw new CommandError(`no program reads control/${name}: 'quaver control show --all' lists those that are read`)
    const one = describe(known, control)
    if (options.json === true) printJson(one)
    else print(detailed(one))
    return
  }
  const all = names.map((one) => describe(one, control))
  const shown = options.all === true || options.json === true ? all : all.filter(({ present }) => present)
  if (options.json === true) printJson(shown)
  else for (const one of shown) print(short(one))
  if (options.json !== true && options.all !== true)
    print(styled('dim', `${all.length - shown.length} others are not there and have their defaults: --all`))
}

export function check(options: GlobalOptions): void {
  const home = requireHome(options)
  const control = new Control(home.control, realClock)
  const faults = [...control.problems(), ...control.lineFaults()].map(toText)
  const unread = filesIn(home.control).filter(
    (name) => !names.some((known) => isOrIsIn(known, name)) && !isDerived(name),
  )
  if (faults.length > 0) process.exitCode = exitCode.failed
  if (options.json === true) return printJson({ faults, unread })
  for (const fault of faults) print(`${styled('red', 'wrong')}   ${harmless(fault)}`)
  for (const name of unread)
    print(`${styled('yellow', 'unread')}  control/${harmless(name)}: no program reads this file`)
  if (faults.length === 0)
    print(`${styled('green', 'ok')}      ${home.control}: every file can be read, and means something`)
}

/** A directory such as control/greylist holds files that are read. */
function isOrIsIn(known: string, name: string): boolean {
  return known === name || known.startsWith(`${name}/`)
}

/** Compiled from a file beside it, left by an editor, or the business of `quaver rules`. */
function isDerived(name: string): boolean {
  return name.endsWith('.cdb') || name.startsWith('.') || name === 'tcprules'
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort()
  } catch (error) {
    throw new CommandError(`${directory}: ${describeError(error)}`)
  }
}

function describe(name: ControlName, control: Control): Shown {
  const file: ControlFile = controlFiles[name]
  const present = control.isPresent(name)
  return {
    name,
    present,
    lines: present && file.secret !== true ? linesOf(join(control.directory, name)) : undefined,
    fallback: fallbackText(file, control),
    meaning: file.meaning,
    readBy: file.readBy,
    reread: file.reread,
  }
}

function linesOf(path: string): string[] | undefined {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '')
  } catch {
    return undefined
  }
}

function fallbackText({ fallback, unit }: ControlFile, control: Control): string | undefined {
  if (fallback === undefined) return undefined
  if (fallback === 'me') return `control/me (${toText(control.optionalLine('me') ?? 'absent')})`
  return unit === undefined ? String(fallback) : `${fallback} ${unit}`
}

function short({ name, present, lines, fallback }: Shown): string {
  const label = styled('bold', name.padEnd(18))
  if (!present) return `${label}  ${styled('dim', fallback === undefined ? 'absent' : `default: ${fallback}`)}`
  if (lines === undefined) return `${label}  ${styled('dim', 'present; not shown')}`
  const more = lines.length > linesShownMax ? ` … ${lines.length} lines` : ''
  return `${label}  ${lines.slice(0, linesShownMax).map(harmless).join('  ')}${more}`
}

function detailed(shown: Shown): string {
  const reread = { live: 'when it has changed', reload: "at HUP of 'start'", start: 'at start' }[shown.reread]
  return [
    short(shown),
    `  ${shown.meaning}`,
    `  default: ${shown.fallback ?? 'none'}`,
    `  read by ${shown.readBy.join(', ')}, ${reread ?? shown.reread}`,
  ].join('\n')
}
