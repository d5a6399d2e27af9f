/** Sizes as people write them: `500M`, `2G`. A K is 1024 bytes. */
import { CommandError, exitCode } from './exit.ts'

const units = ['', 'K', 'M', 'G', 'T'] as const

/** Throws CommandError (usage). */
export function parseBytes(text: string): number {
  const found = /^([0-9]{1,12})([KMGT]?)(?:i?B)?$/i.exec(text)
  const bytes = found === null ? 0 : Number(found[1]) * 1024 ** power(found[2] ?? '')
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes
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

function power(unit: string): number {
  return units.findIndex((one) => one === unit.toUpperCase())
}
