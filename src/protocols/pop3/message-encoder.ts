/** A message as RETR and TOP send it (RFC 1939 §3), in the form of qmail-pop3d: every line ends in CRLF, a dot at its
 *  start is doubled, and an empty line comes before the dot that ends it all.
 *  Knows:  where a line starts, where the header ends, how many lines of the body were sent, across chunks.
 *  Never:  folds or recodes; a CR that is not before an LF passes as it is. */
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'

export class MessageEncoder {
  private lineStart = true
  /** The last byte was CR: what it means, the next one says. */
  private crWaits = false
  private inHeader = true
  private linesLeft: number
  private readonly isLimited: boolean
  private cutHere = false

  /** `bodyLinesMax`: of TOP; undefined: the whole message. */
  constructor(bodyLinesMax: number | undefined) {
    this.linesLeft = bodyLinesMax ?? 0
    this.isLimited = bodyLinesMax !== undefined
  }

  /** No more content is wanted: the rest of the message need not be read. */
  get isCut(): boolean {
    return this.cutHere
  }

  /** Chunks may be cut anywhere. */
  encode(chunk: Uint8Array): Buffer {
    if (this.cutHere || chunk.length === 0) return toBuffer('')
    let text = fromBuffer(chunk)
    if (this.crWaits) text = `\r${text}`
    this.crWaits = text.endsWith('\r')
    if (this.crWaits) text = text.slice(0, -1)
    // Content is stored with LF; a stored CRLF does not mean CR CR LF.
    if (text.includes('\r')) text = text.replaceAll('\r\n', '\n')
    if (this.isLimited) text = this.cut(text)
    return toBuffer(this.stuff(text))
  }

  /** After the last content. */
  end(): Buffer {
    const last = this.crWaits && !this.cutHere ? this.stuff('\r') : ''
    return toBuffer(`${last}${this.lineStart ? '' : '\r\n'}\r\n.\r\n`)
  }

  private stuff(text: ByteString): ByteString {
    if (text === '') return ''
    const stuffed = text.replaceAll('\n.', '\n..').replaceAll('\n', '\r\n')
    const out = this.lineStart && text.startsWith('.') ? `.${stuffed}` : stuffed
    this.lineStart = text.endsWith('\n')
    return out
  }

  /** What is left of the text when lines beyond the limit are gone. */
  private cut(text: ByteString): ByteString {
    let from = 0
    for (;;) {
      const end = text.indexOf('\n', from)
      if (end < 0) return text
      if (!this.inHeader) this.linesLeft--
      else if (end === from && (from > 0 || this.lineStart)) this.inHeader = false
      from = end + 1
      this.cutHere = !this.inHeader && this.linesLeft <= 0
      if (this.cutHere) return text.slice(0, from)
    }
  }
}
