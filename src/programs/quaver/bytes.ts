/** Sizes as people write them: `500M`, `2G`. A K is 1024 bytes. */
import { parseBytes } from '../../protocols/qmail/quantity.ts'
import { CommandError, exitCode } from './exit.ts'

const units = ['', 'K', 'M', 'G', 'T'] as const

/** Not nothing. Throws CommandError (usage). */
export function parseSize(text: string): number {
  const bytes = parseBytes(text) ?? 0
  if (bytes > 0) return bytes
  throw new CommandError(`'${text}' is no size: write it as 500M or 2G`, exitCode.usage)
}

/** In the largest unit that keeps it above 1, to one place: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let at = 0
  while (at < units.length - 1 && bytes >= 1024 ** (at + 1)) at++
  if (at === 0) return `${bytes} bytes`
  const value = bytes / 1024 ** at
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[at]}iB`
}
