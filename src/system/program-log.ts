/** What a program says on descriptor 2, as lines of our log: printable, cut, and not too many. */
import { type ByteString, fromBuffer } from '../base/byte-string.ts'
import type { Log } from './log.ts'

/** Of what one program says. */
const linesMax = 50
const lineBytesMax = 800

export class ProgramLog {
  private readonly log: Log
  private readonly name: ByteString
  private partial = ''
  private lines = 0

  constructor(log: Log, program: ByteString) {
    this.log = log
    this.name = safe(program.slice(program.lastIndexOf('/') + 1)).slice(0, 64)
  }

  write(bytes: Buffer): void {
    if (this.lines > linesMax) return
    const [first = '', ...more] = fromBuffer(bytes).split('\n')
    this.keep(first)
    for (const part of more) {
      this.flush()
      this.keep(part)
    }
  }

  /** The program has ended. */
  end(): void {
    if (this.partial !== '') this.flush()
  }

  private keep(part: ByteString): void {
    this.partial += part.slice(0, lineBytesMax - this.partial.length)
  }

  private flush(): void {
    const line = this.partial
    this.partial = ''
    this.lines++
    if (this.lines <= linesMax) this.log(`${this.name}: ${safe(line)}`)
    else if (this.lines === linesMax + 1) this.log(`${this.name}: says more, which is not logged`)
  }
}

function safe(text: ByteString): string {
  return text.replace(/[^ -~]/g, '?')
}
