/** Takes Bcc and Resent-Bcc out of text that follows a header without an empty line between, until there is one.
 *  Never:  holds more than the beginning of a line. */
import type { ByteString } from '../../base/byte-string.ts'

/** Of a line; what is longer is decided by its beginning. */
const beginningBytesMax = 2048

export class BlindCopyFilter {
  /** The empty line has come: the rest passes as it is. */
  isOver = false
  /** The beginning of a line that is not decided yet. */
  private partial = ''
  /** In a line that is decided: whether it stays. */
  private stays: boolean | undefined
  private stayed = true

  /** What may pass. */
  push(piece: ByteString): ByteString {
    const text = this.partial + piece
    this.partial = ''
    let passed = ''
    for (let at = 0; at < text.length; ) {
      if (this.isOver) return passed + text.slice(at)
      const end = text.indexOf('\n', at)
      const line = text.slice(at, end < 0 ? text.length : end + 1)
      if (end < 0 && this.stays === undefined && line.length < beginningBytesMax) {
        this.partial = line
        break
      }
      if (this.keeps(line)) passed += line
      if (end >= 0) this.stays = undefined
      at += line.length
    }
    return passed
  }

  /** The text that follows need not be looked at. */
  pass(text: ByteString): ByteString {
    this.isOver = true
    return text
  }

  /** What was held of the last line; it has no line end. */
  end(): ByteString {
    const line = this.partial
    this.partial = ''
    return line !== '' && this.keeps(`${line}\n`) ? line : ''
  }

  private keeps(line: ByteString): boolean {
    if (this.stays !== undefined) return this.stays
    if (line === '\n' || line === '\r\n') {
      this.isOver = true
      return true
    }
    if (blindCopy.test(line)) this.stayed = false
    // A continuation goes where its line went.
    else if (!/^[ \t]/.test(line)) this.stayed = true
    this.stays = this.stayed
    return this.stays
  }
}

/** Bytes that no field name has may stand before and after it. */
const blindCopy = /^[^!-~\n]*(?:resent-)?bcc[^!-~\n]*(?::|$)/i
