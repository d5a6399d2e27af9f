/** Tools of the machine that a test needs: it is skipped, with the reason, where one is missing. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

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

/** Where a test has to run the clone's programs as another account, in a directory of the temporary one. */
export function withoutOtherAccounts(): string | false {
  for (const from of [import.meta.dirname, process.execPath, tmpdir()])
    for (let path = from; path !== '/'; path = dirname(path))
      if ((statSync(path).mode & 0o001) === 0) return `${path} is closed to other accounts`
  return withoutRoot()
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
