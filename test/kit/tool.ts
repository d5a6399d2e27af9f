/** Tools of the machine that a test needs: it is skipped, with the reason, where one is missing. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** For the `skip` option of a test: false, or why not. */
export function without(...tools: readonly string[]): string | false {
  const missing = tools.filter((tool) => !isInstalled(tool))
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')}`
}

/** Modules that a program in Perl does without, and says so. */
export function withoutPerlModule(...modules: readonly string[]): string | false {
  const missing = modules.filter((module) => spawnSync('perl', [`-M${module}`, '-e', '1']).status !== 0)
  return missing.length === 0 ? false : `not installed: Perl's ${missing.join(', ')}`
}

export function withoutRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root'
}

function isInstalled(tool: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
