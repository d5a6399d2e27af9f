/** Tools of the machine that a test needs: it is skipped, with the reason, where one is missing. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** For the `skip` option of a test: false, or why not. */
export function without(...tools: readonly string[]): string | false {
  const missing = tools.filter((tool) => !isInstalled(tool))
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')}`
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
