/** One line per event to descriptor 2, in qmail's words. `start` decides where descriptor 2 goes, and QUAVER_LOG what a
 *  line looks like there (log-form.ts).
 *  Lines are gathered for a few milliseconds and written in one call, alerts at the end of this turn; `flushLog` writes
 *  at once (before an exit).
 *  A peer's bytes are made safe by the caller with `printable`. */
import { writeSync } from 'node:fs'
import { lineFormatter } from './log-form.ts'

export interface Log {
  (line: string): void
}

/** Log lines longer than this are cut: a log is for people and for tools with line buffers. */
const lineBytesMax = 4096
const gatherBytesMax: number = 64 * 1024
/** A busy server writes a dozen lines a message: a call for each turn would cost more than the lines. */
const gatherMilliseconds = 10

let gathered = ''
let timer: NodeJS.Timeout | undefined

export function openLog(tag: string, form: string | undefined = process.env['QUAVER_LOG']): Log {
  const format = lineFormatter(form, tag)
  return (line) => {
    gathered += format(line.length > lineBytesMax ? `${line.slice(0, lineBytesMax)}...` : line)
    if (gathered.length > gatherBytesMax) flushLog()
    else if (line.startsWith('alert:')) setImmediate(flushLog)
    else timer ??= setTimeout(flushLog, gatherMilliseconds)
  }
}

export function flushLog(): void {
  clearTimeout(timer)
  timer = undefined
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
