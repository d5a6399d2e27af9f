/** `quaver control show`: what HOME/control says, against the table of all control files. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromBuffer, toText } from '../../base/byte-string.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import { Control } from '../../stores/control/control.ts'
import { type ControlFile, controlFiles, type ControlName } from '../../stores/control/table.ts'
import { realClock } from '../../system/clock.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { inspect } from './control-check.ts'
import { CommandError } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'

interface Shown {
  readonly name: string
  /** Exists, and has a valid value. */
  readonly present: boolean
  /** Lines of the file; undefined if it is not there, cannot be read, or is a secret. */
  readonly lines: readonly string[] | undefined
  readonly fallback: string | undefined
  readonly meaning: string
  readonly readBy: readonly string[]
  readonly reread: string
  /** Faults by `control check`: with these, not all that is shown is in force. */
  readonly faults: readonly string[]
}

const names = Object.keys(controlFiles) as ControlName[]
const linesShownMax = 20

export async function show(name: string | undefined, options: GlobalOptions & { all?: true }): Promise<void> {
  const home = requireHome(options)
  const control = new Control(home.control, realClock)
  const { findings } = await inspect(home)
  const faultsOf = (one: ControlName): string[] =>
    findings
      .filter(({ file }) => file === `control/${one}`)
      .map(({ line, fault }) => (line === undefined ? fault : `line ${line} ${fault}`))
  if (name !== undefined) {
    const known = names.find((one) => one === name)
    if (known === undefined)
      throw new CommandError(`no program reads control/${name}: 'quaver control show --all' lists those that are read`)
    const one = describe(known, control, faultsOf(known))
    if (options.json === true) printJson(one)
    else print(detailed(one))
    return
  }
  const all = names.map((one) => describe(one, control, faultsOf(one)))
  const shown =
    options.all === true || options.json === true
      ? all
      : all.filter(({ present, faults }) => present || faults.length > 0)
  if (options.json === true) printJson(shown)
  else for (const one of shown) print(short(one))
  if (options.json !== true && options.all !== true)
    print(styled('dim', `${all.length - shown.length} others are not there and have their defaults: --all`))
}

function describe(name: ControlName, control: Control, faults: readonly string[]): Shown {
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
    faults,
  }
}

function linesOf(path: string): string[] | undefined {
  try {
    return writtenLines(fromBuffer(readFileSync(path)))
      .filter((line) => line !== '')
      .map(toText)
  } catch {
    return undefined
  }
}

function fallbackText({ fallback, unit }: ControlFile, control: Control): string | undefined {
  if (fallback === undefined) return undefined
  if (fallback === 'me') return `control/me (${toText(control.optionalLine('me') ?? 'absent')})`
  return unit === undefined ? String(fallback) : `${fallback} ${unit}`
}

function short(shown: Shown): string {
  const wrong = shown.faults.map((fault) => `\n    ${styled('red', harmless(fault))}`).join('')
  return `${styled('bold', shown.name.padEnd(18))}  ${inForce(shown)}${wrong}`
}

function inForce({ present, lines, fallback }: Shown): string {
  if (!present) return styled('dim', fallback === undefined ? 'absent' : `default: ${fallback}`)
  if (lines === undefined) return styled('dim', 'present; not shown')
  const more = lines.length > linesShownMax ? ` … ${lines.length} lines` : ''
  return `${lines.slice(0, linesShownMax).map(harmless).join('  ')}${more}`
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
