/** Medians and ratios as a Markdown table. The last server is what the first is compared with. */
import type { Cell, Measured, Server } from './load.ts'

export function table(results: ReadonlyMap<Cell, ReadonlyMap<Server, readonly Measured[]>>): string {
  const servers = [...([...results.values()][0]?.keys() ?? [])]
  const [first, second] = servers
  const heads = servers.map(({ name }) => `${name}: end to end/s (min..max), CPU ms`)
  const lines = [
    row(['4 KiB, one message a connection', ...heads, ...(second ? ['ratio of speed', 'ratio of CPU'] : [])]),
  ]
  lines.push(
    row(
      lines[0]
        ?.split('|')
        .slice(1, -1)
        .map(() => '---') ?? [],
    ),
  )
  for (const [cell, measured] of results) {
    const texts = servers.map((server) => describe(measured.get(server) ?? []))
    if (first && second) texts.push(...ratios(measured.get(first) ?? [], measured.get(second) ?? []))
    lines.push(row([cell.name, ...texts]))
  }
  return lines.join('\n')
}

function row(texts: readonly string[]): string {
  return `| ${texts.join(' | ')} |`
}

function describe(runs: readonly Measured[]): string {
  const speeds = runs.map(({ endToEndPerSecond }) => endToEndPerSecond)
  const range = `${Math.min(...speeds).toFixed(0)}..${Math.max(...speeds).toFixed(0)}`
  return `${speed(runs).toFixed(0)} (${range}), ${cpu(runs).toFixed(2)}`
}

function ratios(ours: readonly Measured[], theirs: readonly Measured[]): string[] {
  return [(speed(ours) / speed(theirs)).toFixed(2), (cpu(ours) / cpu(theirs)).toFixed(2)]
}

function speed(runs: readonly Measured[]): number {
  return median(runs.map(({ endToEndPerSecond }) => endToEndPerSecond))
}

function cpu(runs: readonly Measured[]): number {
  return median(runs.map(({ cpuMillisecondsPerMessage }) => cpuMillisecondsPerMessage))
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
