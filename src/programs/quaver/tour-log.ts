/** Reads what is appended to the demo's log, line by line. */
import { fstatSync, openSync, readSync } from 'node:fs'

export interface LogLine {
  /** Milliseconds since 1970, from the stamp in front. */
  readonly atMs: number
  /** Without stamp and program. */
  readonly text: string
}

const chunkBytes: number = 64 * 1024

export class LogReader {
  private readonly fd: number
  private readonly buffer = Buffer.alloc(chunkBytes)
  private at: number
  private rest = ''

  /** Begins at the present end of the file. */
  constructor(path: string) {
    this.fd = openSync(path, 'r')
    this.at = fstatSync(this.fd).size
  }

  /** Whole lines that came since the last call. */
  read(): LogLine[] {
    for (;;) {
      const bytes = readSync(this.fd, this.buffer, 0, chunkBytes, this.at)
      if (bytes === 0) break
      this.at += bytes
      this.rest += this.buffer.toString('latin1', 0, bytes)
    }
    const lines = this.rest.split('\n')
    this.rest = lines.pop() ?? ''
    return lines.flatMap((line) => parseLogLine(line) ?? [])
  }
}

/** `2026-11-21T21:55:58.775Z queue: new msg 5`; undefined for anything else. */
export function parseLogLine(line: string): LogLine | undefined {
  const found = /^(\d{4}-\d\d-\d\dT[0-9:.]{8,12}Z) [a-z-]{1,16}: (.*)$/.exec(line)
  return found === null ? undefined : { atMs: Date.parse(found[1] ?? ''), text: found[2] ?? '' }
}
