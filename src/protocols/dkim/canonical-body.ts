/** The body as it is hashed (RFC 6376 §3.4.3, §3.4.4), while it arrives in pieces cut anywhere.
 *  Knows:  line ends are LF with us and CR LF in the hash; any other CR is a byte like others.
 *  Never:  holds more than the piece at hand: of empty lines it keeps the number. */
import type { ByteString } from '../../base/byte-string.ts'

export type Canonicalization = 'simple' | 'relaxed'

/** Of empty lines that turn out not to be at the end, so many are given at once. */
const linesAtOnce = 8192

export class CanonicalBody {
  /** Given so far. */
  bytes = 0
  private readonly isRelaxed: boolean
  private readonly give: (text: ByteString) => void
  /** Line ends that are dropped if nothing follows. */
  private lineEnds = 0
  /** Blanks that are dropped if their line ends here (relaxed). */
  private hasBlank = false

  constructor(canonicalization: Canonicalization, give: (text: ByteString) => void) {
    this.isRelaxed = canonicalization === 'relaxed'
    this.give = give
  }

  push(piece: ByteString): void {
    const text = this.isRelaxed ? this.collapsed(piece) : piece
    let end = text.length
    while (end > 0 && text.charCodeAt(end - 1) === 10) end--
    if (end > 0) {
      this.giveLineEnds()
      this.write(text.slice(0, end).replaceAll('\n', '\r\n'))
    }
    this.lineEnds += text.length - end
  }

  /** An empty body is an empty line if simple, and nothing if relaxed. */
  end(): void {
    if (!this.isRelaxed || this.bytes > 0) this.write('\r\n')
  }

  private collapsed(piece: ByteString): ByteString {
    const text = (this.hasBlank ? ` ${piece}` : piece).replace(/[ \t]+/g, ' ').replaceAll(' \n', '\n')
    this.hasBlank = text.endsWith(' ')
    return this.hasBlank ? text.slice(0, -1) : text
  }

  private giveLineEnds(): void {
    for (; this.lineEnds > linesAtOnce; this.lineEnds -= linesAtOnce) this.write('\r\n'.repeat(linesAtOnce))
    this.write('\r\n'.repeat(this.lineEnds))
    this.lineEnds = 0
  }

  private write(text: ByteString): void {
    this.bytes += text.length
    if (text !== '') this.give(text)
  }
}
