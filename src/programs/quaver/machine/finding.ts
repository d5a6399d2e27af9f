/** Findings of checks, by the gate of `setup` and by `doctor`. */
import { harmless, print, styled } from '../output.ts'

export type Level = 'error' | 'warning' | 'note'

export interface MachineFinding {
  /** The check's name, as for `--ignore`. */
  readonly check: string
  readonly level: Level
  readonly text: string
  /** What to do. */
  readonly remedy: string
}

const titles = { error: 'Errors', warning: 'Warnings', note: 'Notes' } as const
const colours = { error: 'red', warning: 'yellow', note: 'dim' } as const

export function finding(level: Level, check: string, text: string, remedy: string): MachineFinding {
  return { check, level, text, remedy }
}

/** Prints Errors, Warnings and Notes, each with its remedy. */
export function printFindings(findings: readonly MachineFinding[]): void {
  for (const level of ['error', 'warning', 'note'] as const) {
    const some = findings.filter((one) => one.level === level)
    if (some.length === 0) continue
    print(styled(['bold', colours[level]], titles[level]))
    for (const { check, text, remedy } of some) {
      print(`  ${check.padEnd(11)} ${harmless(text)}`)
      if (remedy !== '') print(`  ${' '.repeat(11)} ${styled('dim', '→')} ${harmless(remedy)}`)
    }
  }
}
