/** Medians and ratios as a Markdown table. The last server is what the first is compared with. */
import type { Cell, Measured, Server } from './load.ts'

/** A row in numbers: medians of messages a second and CPU milliseconds a message, by server. */
export interface Summary {
  readonly name: string
  readonly servers: Readonly<Record<string, { readonly perSecond: number; readonly cpuMilliseconds: number }>>
  /** Of the first server to the second; undefined if there is one alone. */
  readonly speedRatio: number | undefined
  readonly cpuRatio: number | undefined
}

export function summaries(results: ReadonlyMap<Cell, ReadonlyMap<Server, readonly Measured[]>>): Summary[] {
  return [...results].map(([cell, measured]) => {
    const both = [...measured].filter(([, runs]) => runs.length > 0)
    const servers = Object.fromEntries(
      both.map(([server, runs]) => [server.name, { perSecond: speed(runs), cpuMilliseconds: cpu(runs) }]),
    )
    const [ours, theirs] = both.map(([, runs]) => runs)
    return {
      name: cell.name,
      servers,
      speedRatio: ours && theirs ? speed(ours) / speed(theirs) : undefined,
      cpuRatio: ours && theirs ? cpu(ours) / cpu(theirs) : undefined,
    }
  })
}

export function table(results: ReadonlyMap<Cell, ReadonlyMap<Server, readonly Measured[]>>): string {
  const servers = [...([...results.values()][0]?.keys() ?? [])]
  const [first, second] = servers
  const heads = servers.map(({ name }) => `${name}: end to end/s (min..max), CPU ms`)
  const head = ['row', ...heads, ...(second ? ['ratio of speed', 'ratio of CPU'] : [])]
  const lines = [row(head), row(head.map(() => '---'))]
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
