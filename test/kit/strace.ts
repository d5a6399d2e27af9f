/** strace on programs of an instance, attached while they run. Needs root: our processes let nobody of their own account
 *  trace them (system/libc.ts). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Instance, run, until } from './instance.ts'
import { without, withoutRoot } from './tool.ts'

const attachMillisecondsMax = 20_000

/** For `skip`. */
export async function cannotTrace(): Promise<string | false> {
  const refused = without('strace') || withoutRoot()
  if (refused !== false) return refused
  const { code } = await run('strace', ['-o', '/dev/null', 'true'])
  return code === 0 ? false : 'ptrace is not allowed here'
}

export interface Tracing {
  /** By program; those it had when the trace began, or has now. */
  readonly threads: ReadonlyMap<number, string>
  /** Resolves when the file is whole. */
  end(): Promise<void>
}

/** `options`: what is traced, and into which file. */
export async function attachStrace(
  instance: Instance,
  programs: readonly string[],
  options: readonly string[],
): Promise<Tracing> {
  const pids = new Map<string, number>()
  for (const program of programs) pids.set(program, await instance.pidOf(program))
  const threads = new Map<number, string>()
  const noteThreads = async (): Promise<void> => {
    for (const [program, pid] of pids) for (const thread of await threadsOf(pid)) threads.set(thread, program)
  }
  const attach = [...pids.values()].flatMap((pid) => ['-p', String(pid)])
  const strace = spawn('strace', ['-f', ...options, ...attach], { stdio: ['ignore', 'ignore', 'pipe'] })
  const end = async (): Promise<void> => {
    strace.kill('SIGINT')
    if (strace.exitCode === null) await once(strace, 'exit')
  }
  let said = ''
  strace.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  try {
    await until('strace attached', attachMillisecondsMax, () =>
      Promise.resolve([...pids.values()].every((pid) => said.includes(`Process ${pid} attached`)) || undefined),
    )
    await noteThreads()
  } catch (error) {
    await end()
    throw error
  }
  return {
    threads,
    async end() {
      await noteThreads()
      await end()
    },
  }
}

async function threadsOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ls', [`/proc/${pid}/task`])
  return stdout
    .split('\n')
    .filter((name) => name !== '')
    .map(Number)
}
