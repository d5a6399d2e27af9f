/** One line per event, in qmail's words. A program writes to descriptor 2; `start` decides where that goes, and QUAVER_LOG
 *  what a line looks like there (log-form.ts).
 *  Whatever a line holds, it is one line of printable ASCII: bytes of a peer or of another process cannot begin a line, or
 *  reach a terminal. `printable` is for a place where a blank too would mislead a reader of fields.
 *  Lines are gathered for a few milliseconds and written in one call, alerts at the end of this turn; `flushLog` writes
 *  at once (before an exit). */
import { writeSync } from 'node:fs'
import { describeError } from '../base/outcome.ts'
import { lineFormatter } from './log-form.ts'

export interface Log {
  (line: string): void
}

/** Log lines longer than this are cut: a log is for people and for tools with line buffers. */
export const lineBytesMax = 4096
const gatherBytesMax: number = 64 * 1024
/** A busy server writes a dozen lines a message: a call for each turn would cost more than the lines. */
const gatherMilliseconds = 10
const notPrintable = /[^ -~]/

/** Logs of one process that go to one descriptor, in the order in which they are written to. */
export class LogFile {
  private readonly fd: number
  /** Why the last lines were dropped; empty if they were written. */
  lostBecause = ''
  private gathered = ''
  private timer: NodeJS.Timeout | undefined

  constructor(fd: number) {
    this.fd = fd
  }

  open(program: string, form: string | undefined): Log {
    const format = lineFormatter(form, program)
    return (line) => {
      this.gathered += format(oneLine(line))
      if (this.gathered.length > gatherBytesMax) this.flush()
      else if (line.startsWith('alert:')) setImmediate(() => this.flush())
      else this.timer ??= setTimeout(() => this.flush(), gatherMilliseconds)
    }
  }

  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    let rest = Buffer.from(this.gathered, 'latin1')
    this.gathered = ''
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(this.fd, rest))
        this.lostBecause = ''
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'EINTR') continue
        // A full pipe must not stop mail, a closed one must not end the program: what could not be written is dropped.
        this.lostBecause = describeError(error)
        return
      }
    }
  }
}

const standardError = new LogFile(2)

export function openLog(program: string, form: string | undefined = process.env['QUAVER_LOG']): Log {
  return standardError.open(program, form)
}

export function flushLog(): void {
  standardError.flush()
}

/** Cut to `lineBytesMax`; all but printable ASCII as `\x0a`, or `\u20ac` beyond a byte. */
export function oneLine(text: string): string {
  const line = text.length > lineBytesMax ? `${text.slice(0, lineBytesMax)}...` : text
  return notPrintable.test(line) ? line.replace(/[^ -~]/g, escaped) : line
}

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}

/** qmail-send's way: LF becomes `/`, `%` and every byte below 33 or above 126 becomes `_`. */
export function printable(bytes: string): string {
  return bytes.replace(/[^!-$&-~]/g, (byte) => (byte === '\n' ? '/' : '_'))
}
