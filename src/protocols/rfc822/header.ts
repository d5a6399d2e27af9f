/** Where a header ends, and its fields (RFC 5322 §2.2): it ends at the first line that can be no field and no
 *  continuation, which begins the body, even without an empty line. */
import type { ByteString } from '../../base/byte-string.ts'

export interface Field {
  /** In lower case. */
  readonly name: ByteString
  /** As it came: name, colon, value, continuations, each line with its LF. */
  readonly raw: ByteString
  /** What follows the colon, with its continuations and without the last LF. */
  readonly value: ByteString
}

const fieldName = /^([!-9;-~]{1,998})[ \t]{0,998}:/

/** Gathers a header from pieces cut anywhere. */
export class HeaderGatherer {
  readonly fields: Field[] = []
  private name = ''
  private lines: ByteString[] = []
  private valueAt = 0
  private partial = ''

  /** The rest that is body, an empty line in front included; undefined while the header goes on. */
  push(piece: ByteString): ByteString | undefined {
    const text = this.partial + piece
    let at = 0
    for (;;) {
      const end = text.indexOf('\n', at)
      if (end < 0) break
      const line = text.slice(at, end + 1)
      if (!this.take(line)) {
        this.finishField()
        return line === '\n' ? text.slice(at) : `\n${text.slice(at)}`
      }
      at = end + 1
    }
    this.partial = text.slice(at)
    return undefined
  }

  /** There was no body, or only the beginning of one: the same for a message that ended in its header. */
  end(): ByteString {
    const rest = this.partial === '' ? '' : this.push('\n')
    this.finishField()
    return rest ?? ''
  }

  /** False: the line is not of the header. */
  private take(line: ByteString): boolean {
    const first = line.charCodeAt(0)
    if ((first === 32 || first === 9) && this.lines.length > 0) {
      this.lines.push(line)
      return true
    }
    const found = fieldName.exec(line)
    if (found === null) return false
    this.finishField()
    this.name = found[1] ?? ''
    this.valueAt = found[0].length
    this.lines = [line]
    return true
  }

  private finishField(): void {
    if (this.lines.length === 0) return
    const raw = this.lines.join('')
    this.fields.push({ name: this.name.toLowerCase(), raw, value: raw.slice(this.valueAt, -1) })
    this.lines = []
  }
}
