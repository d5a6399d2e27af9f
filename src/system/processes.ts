/** Child programs with limits on time and output, each in a process group of its own.
 *  Knows:  one pipe for what a program says on descriptors 1 and 2, so that its lines keep their order.
 *  Never:  a shell of its own accord; the caller names the program and every argument.
 *  Fails:  `run` throws if the program cannot be started (error code of the system call). */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { closeSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Clock } from './clock.ts'
import { makePipe } from './libc.ts'

export interface ProgramCall {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly environment: Readonly<Record<string, string>>
  /** Its descriptor 0, at the offset it has. */
  readonly stdinFd: number
  /** Its descriptor 3, if there is one. */
  readonly extraFd?: number
  readonly millisecondsMax: number
  /** What it says beyond this is read and dropped. */
  readonly outputBytesMax: number
}

export interface ProgramEnd {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined
  readonly timedOut: boolean
  readonly output: Buffer
}

/** A program's children may hold its output open after it has ended; what they say later is not waited for. */
const drainMillisecondsMax = 1000

export async function run(clock: Clock, call: ProgramCall): Promise<ProgramEnd> {
  const pipe = makePipe()
  // Without node:ffi the order between the two descriptors is lost, nothing else.
  const outputFds = pipe === undefined ? (['pipe', 'pipe'] as const) : ([pipe.writeFd, pipe.writeFd] as const)
  const stdio: StdioOptions = [call.stdinFd, ...outputFds, ...(call.extraFd === undefined ? [] : [call.extraFd])]
  let child: ChildProcess
  try {
    child = spawn(call.file, call.args, { cwd: call.cwd, env: { ...call.environment }, stdio, detached: true })
  } catch (error) {
    if (pipe !== undefined) closeSync(pipe.readFd)
    throw error
  } finally {
    if (pipe !== undefined) closeSync(pipe.writeFd)
  }
  const readers: readonly (Readable | null)[] =
    pipe === undefined ? [child.stdout, child.stderr] : [readerOf(pipe.readFd)]
  const outputs: Readable[] = readers.filter((reader) => reader !== null)
  const gathered = new Gathered(call.outputBytesMax)
  const drained = Promise.all(outputs.map((output) => gathered.from(output)))
  try {
    const end = await ended(clock, child, call.millisecondsMax)
    await Promise.race([drained, new Promise<void>((resolve) => clock.after(drainMillisecondsMax, resolve))])
    return { ...end, output: gathered.bytes() }
  } finally {
    for (const output of outputs) output.destroy()
  }
}

function ended(clock: Clock, child: ChildProcess, millisecondsMax: number): Promise<Omit<ProgramEnd, 'output'>> {
  return new Promise((resolve, reject) => {
    let timedOut = false
    const cancel = clock.after(millisecondsMax, () => {
      timedOut = true
      killGroup(child)
    })
    child.once('error', (error) => {
      cancel()
      reject(error)
    })
    child.once('exit', (code) => {
      cancel()
      resolve({ exitCode: code ?? undefined, timedOut })
    })
  })
}

/** The program and all it started, unless they have left its group. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

/** Somebody has stopped or traces it: it does nothing until he lets it go on. False where the system does not tell. */
export function isStopped(pid: number | undefined): boolean {
  if (pid === undefined || process.platform !== 'linux') return false
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The state follows the name, which is in parentheses and may hold anything.
    return /^[Tt] /.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

function readerOf(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false })
}

class Gathered {
  private readonly bytesMax: number
  private readonly chunks: Buffer[] = []
  private kept = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Resolves at the stream's end, however it ends. */
  from(stream: Readable): Promise<void> {
    stream.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, this.bytesMax - this.kept)
      this.kept += part.length
      if (part.length > 0) this.chunks.push(part)
    })
    return new Promise((resolve) => {
      stream.once('error', () => resolve())
      stream.once('close', () => resolve())
    })
  }

  bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}
