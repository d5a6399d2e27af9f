/** What a remote server answers (RFC 5321 §4.2), read as hostile input.
 *  Knows:  the grammar `3DIGIT ( "-" | SP | end )`, several lines with one code, limits on bytes and lines.
 *  Never:  what a code means.
 *  Fails:  `push` returns false once the peer broke the grammar or a limit; the connection is of no use then. */
import type { ByteString } from '../../base/byte-string.ts'

export interface Reply {
  /** 200 to 599. */
  readonly code: number
  /** The whole reply without CR, each line ended by LF, cut as qmail cuts it: what a report quotes. */
  readonly text: ByteString
}

export const replyBytesMax: number = 64 * 1024
export const replyLinesMax = 100
/** qmail-remote keeps no more of a reply. */
export const replyTextBytesMax = 5000

export class ReplyParser {
  private line = ''
  private text = ''
  private code = 0
  private lines = 0
  private bytes = 0
  private broken = false

  /** Calls `onReply` for each reply that this chunk completes, in order. */
  push(chunk: ByteString, onReply: (reply: Reply) => void): boolean {
    let at = 0
    while (!this.broken && at < chunk.length) {
      const end = chunk.indexOf('\n', at)
      const part = chunk.slice(at, end < 0 ? chunk.length : end)
      this.bytes += part.length + 1
      this.line += part
      if (this.bytes > replyBytesMax) this.broken = true
      if (end < 0) break
      at = end + 1
      const reply = this.broken ? undefined : this.takeLine()
      if (reply !== undefined) onReply(reply)
    }
    return !this.broken
  }

  /** True between replies: nothing of a next one has come. */
  get idle(): boolean {
    return this.bytes === 0 && !this.broken
  }

  private takeLine(): Reply | undefined {
    const line = this.line.includes('\r') ? this.line.replaceAll('\r', '') : this.line
    this.line = ''
    this.lines++
    const code = replyCode(line)
    const separator = line.charAt(3)
    if (code === undefined || !(separator === '' || separator === ' ' || separator === '-')) this.broken = true
    if (this.lines > replyLinesMax || (this.lines > 1 && code !== this.code)) this.broken = true
    if (this.broken || code === undefined) return undefined
    this.code = code
    if (this.text.length < replyTextBytesMax) this.text = `${this.text}${line}\n`.slice(0, replyTextBytesMax)
    if (separator === '-') return undefined
    const reply = { code, text: this.text }
    this.text = ''
    this.lines = 0
    this.bytes = 0
    return reply
  }
}

function replyCode(line: ByteString): number | undefined {
  const first = line.charCodeAt(0) - 48
  const second = line.charCodeAt(1) - 48
  const third = line.charCodeAt(2) - 48
  // A comparison with NaN is false, so a short line is refused too.
  const valid = first >= 2 && first <= 5 && second >= 0 && second <= 9 && third >= 0 && third <= 9
  return valid ? first * 100 + second * 10 + third : undefined
}
