/** One line per event to descriptor 2, in qmail's words. `start` decides where descriptor 2 goes, and QUAVER_LOG what a
 *  line looks like there (log-form.ts).
 *  Lines are gathered for the rest of the turn and written in one call; `flush` writes at once (before an exit).
 *  A peer's bytes are made safe by the caller with `printable`. */
import { writeSync } from 'node:fs'
import { lineFormatter } from './log-form.ts'

export interface Log {
  (line: string): void
}

/** Log lines longer than this are cut: a log is for people and for tools with line buffers. */
const lineBytesMax = 4096
const gatherBytesMax: number = 64 * 1024

let gathered = ''
let scheduled = false

export function openLog(tag: string, form: string | undefined = process.env['QUAVER_LOG']): Log {
  const format = lineFormatter(form, tag)
  return (line) => {
    gathered += format(line.length > lineBytesMax ? `${line.slice(0, lineBytesMax)}...` : line)
    if (gathered.length > gatherBytesMax) flushLog()
    else if (!scheduled) {
      scheduled = true
      setImmediate(flushLog)
    }
  }
}

export function flushLog(): void {
  scheduled = false
  let rest = Buffer.from(gathered, 'latin1')
  gathered = ''
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(2, rest))
    } catch (error) {
      // A full pipe must not stop mail, a closed one must not end the program: what could not be written is dropped.
      if (!(error instanceof Error && 'code' in error && error.code === 'EINTR')) return
    }
  }
}

/** qmail-send's way: LF becomes `/`, `%` and every byte below 33 or above 126 becomes `_`. */
export function printable(bytes: string): string {
  return bytes.replace(/[^!-$&-~]/g, (byte) => (byte === '\n' ? '/' : '_'))
}
