/** A child program in a process group of its own, whose descriptors are ours, or pipes that are read while it runs.
 *  Knows:  real pipes where the system gives them (a program may open /dev/stdout), deadlines, bytes that are not UTF-8.
 *  Never:  uses a shell, except to pass bytes that Node cannot; searches in PATH.
 *  Fails:  `start` throws if the program cannot be started (error code of the system call). */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants } from 'node:fs'
import { Socket } from 'node:net'
import { resolve as resolvePath } from 'node:path'
import { Readable } from 'node:stream'
import { type ByteString, fromText, toText } from '../base/byte-string.ts'
import type { Clock } from './clock.ts'
import { makePipe } from './libc.ts'
import { killGroup } from './processes.ts'

export interface WatchedCall {
  /** Relative to `cwd` if not absolute. */
  readonly file: ByteString
  readonly args: readonly ByteString[]
  readonly cwd: string
  readonly environment: ReadonlyMap<string, ByteString>
  /** From descriptor 0 on: `null` is /dev/null, a number a descriptor of ours, a function gets what is written there. The same
   *  function for several makes one pipe of them, where the system gives pipes: what is said keeps its order. */
  readonly descriptors: readonly (null | number | ((bytes: Buffer) => void))[]
  readonly millisecondsMax: number
}

export interface WatchedEnd {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined
  readonly signal: string
  readonly timedOut: boolean
}

/** A program's children may hold its descriptors open after it has ended; what they say later is not waited for. */
const drainMillisecondsMax = 1000
const shell = '/bin/sh'

export class WatchedProcess {
  readonly pid: number
  /** After the exit and the end of what was said, or a little later. */
  readonly ended: Promise<WatchedEnd>
  private readonly child: ChildProcess
  private readonly readers: ReadonlyMap<number, Readable>
  private readonly clock: Clock

  private constructor(clock: Clock, child: ChildProcess, readers: ReadonlyMap<number, Readable>, call: WatchedCall) {
    this.clock = clock
    this.child = child
    this.pid = child.pid ?? 0
    this.readers = readers
    this.ended = this.watch(call.millisecondsMax)
  }

  static async start(clock: Clock, call: WatchedCall): Promise<WatchedProcess> {
    const { child, readers } = spawned(call)
    const process = new WatchedProcess(clock, child, readers, call)
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    return process
  }

  /** From now on a write to this descriptor gives the program SIGPIPE. */
  closeOutput(descriptor: number): void {
    this.readers.get(descriptor)?.destroy()
  }

  /** The program and all it started, unless they have left its group. */
  kill(): void {
    killGroup(this.child)
  }

  private async watch(millisecondsMax: number): Promise<WatchedEnd> {
    const drained = Promise.all([...this.readers.values()].map(closing))
    const end = await new Promise<WatchedEnd>((resolve) => {
      let timedOut = false
      const cancel = this.clock.after(millisecondsMax, () => {
        timedOut = true
        this.kill()
      })
      this.child.once('exit', (code, signal) => {
        cancel()
        resolve({ exitCode: code ?? undefined, signal: signal ?? '', timedOut })
      })
      this.child.once('error', () => {
        cancel()
        resolve({ exitCode: undefined, signal: '', timedOut })
      })
    })
    let cancel: () => void = () => undefined
    const late = new Promise<void>((resolve) => {
      cancel = this.clock.after(drainMillisecondsMax, resolve)
    })
    await Promise.race([drained, late])
    cancel()
    for (const reader of this.readers.values()) reader.destroy()
    // What it started and left behind ends with it.
    if (end.timedOut) this.kill()
    return end
  }
}

function spawned(call: WatchedCall): { child: ChildProcess; readers: Map<number, Readable> } {
  const path = resolvePath(call.cwd, toText(call.file))
  accessSync(path, constants.X_OK)
  const outputs = new Set(call.descriptors.filter((what) => typeof what === 'function'))
  const pipes = new Map([...outputs].map((output) => [output, makePipe()] as const))
  const stdio = call.descriptors.map((what) => {
    if (typeof what === 'function') return pipes.get(what)?.writeFd ?? ('pipe' as const)
    return what ?? ('ignore' as const)
  })
  const readers = new Map<number, Readable>()
  try {
    const child = spawnWith(path, call, stdio)
    for (const [fd, what] of call.descriptors.entries()) {
      if (typeof what !== 'function') continue
      const pipe = pipes.get(what)
      const shared = pipe && readers.get(call.descriptors.indexOf(what))
      const reader = shared ?? readerOf(child, fd, pipe?.readFd)
      readers.set(fd, reader)
      if (shared !== undefined) continue
      reader.on('data', what)
      // What was said until then counts.
      reader.on('error', () => undefined)
    }
    return { child, readers }
  } catch (error) {
    for (const pipe of pipes.values()) if (pipe !== undefined) closeSync(pipe.readFd)
    throw error
  } finally {
    for (const pipe of pipes.values()) if (pipe !== undefined) closeSync(pipe.writeFd)
  }
}

function spawnWith(path: string, call: WatchedCall, stdio: readonly (number | 'pipe' | 'ignore')[]): ChildProcess {
  const variables: Record<string, string> = Object.create(null) as Record<string, string>
  let raw = ''
  for (const [name, value] of call.environment) {
    if (isText(name) && isText(value)) variables[toText(name)] = toText(value)
    else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) raw += `${assigned(name, value)}; export ${name}\n`
  }
  const options = { cwd: call.cwd, env: variables, stdio: [...stdio], detached: true }
  if (raw === '' && call.args.every(isText)) {
    return spawn(path, call.args.map(toText), { ...options, argv0: toText(call.file) })
  }
  // Node passes on UTF-8 only: other bytes go through a script that names them in octal.
  const words = call.args.map((arg, index) => `${assigned(`_a${index}`, arg)}\n`).join('')
  const exec = `exec "$0"${call.args.map((_, index) => ` "$_a${index}"`).join('')}\n`
  return spawn(shell, ['-c', raw + words + exec, path], options)
}

/** `x` keeps the line ends that `$()` would take away. */
function assigned(name: string, value: ByteString): string {
  const octal = value.replace(/[^\w@.,:+=/ ]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`)
  return `${name}=$(printf '${octal}x'); ${name}=\${${name}%x}`
}

function isText(bytes: ByteString): boolean {
  return fromText(toText(bytes)) === bytes
}

function readerOf(child: ChildProcess, fd: number, pipeFd: number | undefined): Readable {
  if (pipeFd !== undefined) return new Socket({ fd: pipeFd, readable: true, writable: false })
  const stream: unknown = (child.stdio as readonly unknown[])[fd]
  if (stream instanceof Readable) return stream
  throw new Error(`descriptor ${fd} is not readable`)
}

function closing(reader: Readable): Promise<void> {
  return new Promise((resolve) => reader.once('close', () => resolve()))
}
