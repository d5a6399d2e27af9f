/** The log of another process: a pipe of its own, from which we read and tag its lines. No two processes share a descriptor
 *  of a log: a process that steals this one, from another of the same user, can only write in that one's name; it can neither
 *  cut the log nor write in a third's.
 *  Knows:  lines, a limit on what one process may say in a second. Never: believes a line; the reader's log makes it safe.
 *  Fails:  undefined where the system gives no such pipes: the caller passes on its own descriptor. */
import { closeSync, readSync } from 'node:fs'
import { Socket } from 'node:net'
import { fromBuffer } from '../base/byte-string.ts'
import type { Clock } from './clock.ts'
import { makeLogPipe } from './libc.ts'
import { lineBytesMax, type Log } from './log.ts'

/** QUAVER_LOG of a process whose lines are tagged at the other end of its pipe. */
export const pipedForm = 'bare'
const chunkBytes: number = 64 * 1024

export interface LogPipeLimits {
  /** Beyond it the pipe is read on only in the next second: until then its writer finds it full. */
  readonly bytesPerSecond: number
}

export interface LogPipe {
  /** For the descriptors 1 and 2 of the process. Kept open here until `close`. */
  readonly writeFd: number
  /** From now on only processes that inherited the end have it. */
  closeWriteEnd(): void
  /** What is in the pipe is still read. */
  close(): void
}

export function openLogPipe(log: Log, clock: Clock, limits?: LogPipeLimits): LogPipe | undefined {
  const pipe = makeLogPipe()
  if (pipe === undefined) return undefined
  const { readFd, writeFd } = pipe
  const lines = new Lines(log)
  const reader = new Socket({ fd: readFd, readable: true, writable: false })
  const budget = limits === undefined ? undefined : new Budget(limits.bytesPerSecond, clock, reader)
  reader.on('data', (chunk: Buffer) => {
    lines.take(chunk)
    budget?.spend(chunk.length)
  })
  reader.on('error', () => undefined)
  reader.on('end', () => lines.end())
  // It does not keep this process alive: callers wait for the writer, not for its pipe.
  reader.unref()
  let isWriteOpen = true
  const closeWriteEnd = (): void => {
    if (isWriteOpen) closeSync(writeFd)
    isWriteOpen = false
  }
  return {
    writeFd,
    closeWriteEnd,
    close() {
      closeWriteEnd()
      if (!reader.destroyed) for (const chunk of rest(readFd)) lines.take(chunk)
      lines.end()
      reader.destroy()
    },
  }
}

/** What can be had without waiting, as much as a pipe holds. */
function* rest(fd: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(chunkBytes)
  for (let reads = 0; reads < 16; reads++) {
    let count = 0
    try {
      count = readSync(fd, buffer)
    } catch {
      // Empty for now.
    }
    if (count === 0) return
    yield buffer.subarray(0, count)
  }
}

class Lines {
  private readonly log: Log
  private partial = ''

  constructor(log: Log) {
    this.log = log
  }

  take(chunk: Buffer): void {
    const [first = '', ...more] = fromBuffer(chunk).split('\n')
    this.keep(first)
    for (const part of more) {
      this.emit()
      this.keep(part)
    }
  }

  end(): void {
    if (this.partial !== '') this.emit()
  }

  private keep(part: string): void {
    // One byte too long, so that the log shows that it is cut.
    this.partial += part.slice(0, lineBytesMax + 1 - this.partial.length)
  }

  private emit(): void {
    const line = this.partial
    this.partial = ''
    if (line !== '') this.log(line)
  }
}

class Budget {
  private readonly bytesPerSecond: number
  private readonly clock: Clock
  private readonly reader: Socket
  private sinceMs = 0
  private spent = 0

  constructor(bytesPerSecond: number, clock: Clock, reader: Socket) {
    this.bytesPerSecond = bytesPerSecond
    this.clock = clock
    this.reader = reader
  }

  spend(bytes: number): void {
    const now = this.clock.monotonic()
    if (now - this.sinceMs >= 1000) {
      this.sinceMs = now
      this.spent = 0
    }
    this.spent += bytes
    if (this.spent <= this.bytesPerSecond) return
    this.reader.pause()
    this.clock.after(1000, () => this.reader.resume())
  }
}
