/** The Call of this process: its arguments and variables byte for byte, its descriptors, the home that it belongs to. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, readSync, realpathSync, writeSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { type ByteString, fromBuffer, fromText, toBuffer, toText } from '../../base/byte-string.ts'
import type { Outcome } from '../../base/outcome.ts'
import { type HandedEnvelope, handedIn } from '../../clients/queue/hand-in.ts'
import { findHome, homePathFault } from '../../stores/home/find.ts'
import { type Home, homeAt } from '../../stores/home/layout.ts'
import { errorCode } from '../../system/files.ts'
import { waitForInput } from '../../system/libc.ts'
import type { StoredBytes } from '../../system/spool.ts'
import { type Call, exit, Fatal, type RunEnd, type Variables } from './call.ts'
import { handOver } from './hand-over.ts'

const readBytes: number = 64 * 1024
const waitMilliseconds = 10

/** `path`: the program's path as called. `option`: the value of `--home`. */
export function processCall(path: string, args: readonly ByteString[], option: string | undefined): Call {
  const name = basename(path)
  const home = (): Home => homeOf(name, path, option)
  const variables = environment()
  return {
    name,
    args,
    variables,
    pid: process.pid,
    uid: process.getuid?.() ?? 0,
    now: () => Date.now(),
    home,
    input: (fromStart = false) => readInput(fromStart ? 0 : undefined),
    byte: readByte,
    hasInput: (millisecondsMax) => waitForInput(0, millisecondsMax),
    out: (text) => write(1, text),
    err: (text) => write(2, text),
    enqueue: (envelope, content, changed, head) => enqueue(home(), envelope, content, changed, head),
    run: runProgram,
    runCheck: runCheckProgram,
    become: async (command, changed) => (await import('./become.ts')).become(command, changed),
  }
}

/** The last words of this process's command line. Node decodes them as UTF-8; if that fails, they are read from /proc. */
export function argumentBytes(words: readonly string[]): ByteString[] {
  if (!words.some((word) => word.includes('\ufffd'))) return words.map(fromText)
  const raw = nulSeparated('/proc/self/cmdline')
  return raw.length < words.length ? words.map(fromText) : raw.slice(raw.length - words.length)
}

function environment(): Variables {
  const entries = Object.entries(process.env).map(([name, value]) => [name, value ?? ''] as const)
  if (!entries.some(([, value]) => value.includes('\ufffd')))
    return new Map(entries.map(([name, value]) => [name, fromText(value)]))
  return new Map(
    nulSeparated('/proc/self/environ').map((entry) => {
      const equals = entry.indexOf('=')
      return [entry.slice(0, equals), entry.slice(equals + 1)] as const
    }),
  )
}

function nulSeparated(path: string): ByteString[] {
  try {
    return fromBuffer(readFileSync(path)).split('\0').slice(0, -1)
  } catch {
    return []
  }
}

/** `--home`; else the home in whose `bin` the program was called; else as for `quaver`. */
function homeOf(name: string, path: string, option: string | undefined): Home {
  // /var/qmail/bin may be a link to that of the home.
  const around = path.includes('/') ? resolve(realDirectory(dirname(path)), '..') : undefined
  const isHome = around !== undefined && existsSync(join(around, 'control'))
  const root = join(import.meta.dirname, '../../..')
  const clone = existsSync(join(root, 'package.json')) ? root : undefined
  const found = findHome(option ?? (isHome ? around : undefined), process.env['QUAVER_HOME'], clone)
  const fault = homePathFault(found.path)
  if (fault !== undefined) throw new Fatal(111, `${name}: fatal: ${fromText(fault)}`)
  if (found.exists) return homeAt(found.path)
  const remedy = found.obstacle ?? 'QUAVER_HOME names another'
  throw new Fatal(111, fromText(`${name}: fatal: there is no home at ${found.path} (${found.because}): ${remedy}`))
}

function realDirectory(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** Synchronous, without a stream, to be quick for small messages. */
function* readInput(from: number | undefined): Generator<Buffer> {
  let position = from
  for (;;) {
    const buffer = Buffer.allocUnsafe(readBytes)
    const count = readSome(buffer, position ?? null)
    if (count === 0) return
    if (position !== undefined) position += count
    yield buffer.subarray(0, count)
  }
}

function readByte(millisecondsMax: number): number | 'end' | 'timeout' {
  if (!waitForInput(0, millisecondsMax)) return 'timeout'
  const buffer = Buffer.alloc(1)
  return readSome(buffer, null) === 0 ? 'end' : buffer.readUInt8()
}

function readSome(buffer: Buffer, position: number | null): number {
  for (;;) {
    try {
      return readSync(0, buffer, 0, buffer.length, position)
    } catch (error) {
      // Another process has made the descriptor non-blocking.
      if (errorCode(error) !== 'EAGAIN') throw error
      pause()
    }
  }
}

/** Writes all bytes. If the reader has gone (`qmail-qread | head`), the program ends. */
export function write(fd: number, text: ByteString | Uint8Array): void {
  let rest = typeof text === 'string' ? toBuffer(text) : text
  while (rest.byteLength > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      if (errorCode(error) === 'EPIPE') process.exit(exit.temporary)
      if (errorCode(error) !== 'EAGAIN') throw error
      pause()
    }
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMilliseconds)
}

async function enqueue(
  home: Home,
  envelope: HandedEnvelope,
  content: StoredBytes,
  variables: Variables,
  head?: ByteString,
): Promise<Outcome<number>> {
  const program = variables.get('QMAILQUEUE')
  if (program !== undefined) {
    const [{ ProgramEnqueuer }, queue, { realClock }] = await Promise.all([
      import('../../clients/queue/program.ts'),
      import('../../clients/queue/hand-in.ts'),
      import('../../system/clock.ts'),
    ])
    const changes: Record<string, string | undefined> = {}
    for (const name of Object.keys(process.env)) if (!variables.has(name)) changes[name] = undefined
    for (const [name, value] of variables) changes[name] = toText(value)
    return queue.enqueue(new ProgramEnqueuer(toText(program), home.path, changes, realClock), envelope, content, head)
  }
  return handedIn(await handOver(home, envelope, content, head))
}

async function runProgram(command: readonly ByteString[], input?: Iterable<Buffer>): Promise<RunEnd> {
  const { spawn } = await import('node:child_process')
  const [file = '', ...args] = command.map(toText)
  return new Promise((settle) => {
    const child = spawn(file, args, { stdio: [input === undefined ? 'inherit' : 'pipe', 'inherit', 'inherit'] })
    tellEnd(child, settle)
    const { stdin } = child
    if (stdin === null) return
    // A program need not read all of its input.
    stdin.on('error', () => undefined)
    void import('node:stream').then(({ Readable }) => Readable.from(input ?? []).pipe(stdin))
  })
}

async function runCheckProgram(command: readonly ByteString[], secret: ByteString): Promise<RunEnd> {
  const { spawn } = await import('node:child_process')
  const [file = '', ...args] = command.map(toText)
  return new Promise((settle) => {
    const child = spawn(file, args, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] })
    tellEnd(child, settle)
    const descriptor = child.stdio[3]
    if (descriptor === null || descriptor === undefined || !('write' in descriptor)) return
    // A program need not read the secret: its exit code counts.
    descriptor.on('error', () => undefined)
    descriptor.end(toBuffer(secret))
  })
}

function tellEnd(child: ChildProcess, settle: (end: RunEnd) => void): void {
  child.once('error', (error) => settle({ kind: 'absent', error: errorCode(error) }))
  child.once('exit', (code) => settle(code === null ? { kind: 'crash' } : { kind: 'exit', code }))
}
