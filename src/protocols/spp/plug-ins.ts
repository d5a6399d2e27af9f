/** control/smtpplugins: which plug-ins run at which stage of a session (qmail-spp).
 *  A section begins with a line `[name]`, of which the first letter counts; lines of other sections, and lines before
 *  the first, are passed over. `:command` is for the shell, everything else is the path of a program. */
import type { ByteString } from '../../base/byte-string.ts'

export type Stage = 'connection' | 'helo' | 'mail' | 'rcpt' | 'data'
export const stages: readonly Stage[] = ['connection', 'helo', 'mail', 'rcpt', 'data']

export interface PlugIn {
  readonly kind: 'path' | 'shell'
  /** The path, or the command without its colon. */
  readonly program: ByteString
  /** As the file has it; failures name the plug-in by this. */
  readonly line: ByteString
}

export type PlugIns = Readonly<Record<Stage, readonly PlugIn[]>>

export const noPlugIns: PlugIns = { connection: [], helo: [], mail: [], rcpt: [], data: [] }

/** The plug-ins that pkgsrc ships, by the last part of their path: they are run in process. */
export const builtInPlugInNames: readonly ByteString[] = [
  'qmail-rcptcheck',
  'qmail-spp-spf',
  'greylisting-spp',
  'greylisting-spp-wrapper',
]

/** From the lines of the file, without comments and empty lines. */
export function parsePlugIns(lines: readonly ByteString[]): PlugIns {
  const found: Record<Stage, PlugIn[]> = { connection: [], helo: [], mail: [], rcpt: [], data: [] }
  let section: PlugIn[] | undefined
  for (const line of lines) {
    if (line.startsWith('[')) {
      const stage = stages.find((name) => name[0] === line[1])
      section = stage === undefined ? undefined : found[stage]
    } else section?.push(parsePlugIn(line))
  }
  return found
}

export function parsePlugIn(line: ByteString): PlugIn {
  if (line.startsWith(':')) return { kind: 'shell', program: line.slice(1), line }
  return { kind: 'path', program: line, line }
}

/** The name under which one of our own versions is known; a shell command has none. */
export function plugInName(plugIn: PlugIn): ByteString | undefined {
  return plugIn.kind === 'path' ? plugIn.program.slice(plugIn.program.lastIndexOf('/') + 1) : undefined
}
