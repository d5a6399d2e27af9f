/** What commands write: text for people with colour on a terminal only, JSON for scripts. */
import { stripVTControlCharacters, styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined))
}

/** Plain where standard output is no terminal, or NO_COLOR is set. */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout })
}

/** Columns as wide as their widest cell; the last one is left as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, width(cell))
  const lines = rows.map((row) => {
    return row
      .map((cell, at) => (at === row.length - 1 ? cell : cell + ' '.repeat((widths[at] ?? 0) - width(cell))))
      .join('  ')
  })
  return lines.map((line) => line.trimEnd()).join('\n')
}

function width(cell: string): number {
  return stripVTControlCharacters(cell).length
}

/** What comes from outside must not steer the terminal: control characters become `?`. */
export function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?')
}

/** What a remote host said in several lines. */
export function inOneLine(text: string): string {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
}

const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

/** `3 minutes`: one unit is enough for a person. */
export function duration(milliseconds: number): string {
  for (const [name, length] of units) {
    const count = Math.floor(milliseconds / length)
    if (count >= 1) return count === 1 ? `1 ${name}` : `${count} ${name}s`
  }
  return 'less than a second'
}

/** The caller's own time zone, to the second. */
export function when(milliseconds: number): string {
  const date = new Date(milliseconds)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}
