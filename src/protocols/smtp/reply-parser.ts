/** What a remote server answers (RFC 5321 §4.2), read as hostile input. What is not to the letter and can only mean one
 *  thing is read as that: empty lines, lines of one reply with different codes, text lines without a code.
 *  Knows:  the grammar `3DIGIT ( "-" | SP | end )`, limits on bytes and lines.
 *  Never:  what a code means for a message.
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
  /** The next reply may begin with lines without a code, which are text then. For the answer to a whole message alone:
   *  elsewhere such a line tells that the peer is no SMTP server. */
  textMayComeFirst = false
  /** Lines of one code that come together are one reply, although none has a dash. For greetings and answers to EHLO alone:
   *  nothing else is asked that they could answer. */
  dashesMayLack = false
  private line = ''
  private text = ''
  private codes: number[] = []
  private lines = 0
  private blankLines = 0
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
      const reply = this.broken ? undefined : this.takeLine(chunk.slice(at, at + 4))
      if (reply !== undefined) onReply(reply)
    }
    return !this.broken
  }

  /** True between replies: nothing of a next one has come. */
  get idle(): boolean {
    return this.bytes === 0 && !this.broken
  }

  /** What has come of a reply that will not be finished, for the log; empty if nothing has. */
  get unfinished(): ByteString {
    return `${this.text}${this.line}`.slice(0, replyTextBytesMax)
  }

  /** The reply as far as it came, when no more will come: a last line may lack its end, or a reply its last line. */
  rest(): Reply | undefined {
    const whole = this.broken ? undefined : this.takeLine()
    return whole ?? (this.codes.length > 0 ? this.finish() : undefined)
  }

  /** `next`: how the line after it begins, if that is there already. */
  private takeLine(next = ''): Reply | undefined {
    const line = this.line.includes('\r') ? this.line.replaceAll('\r', '') : this.line
    const code = replyCode(line)
    const separator = line.charAt(3)
    const isReplyLine = code !== undefined && separators.includes(separator)
    if (line === '') {
      this.line = ''
      if (++this.blankLines > replyLinesMax) this.broken = true
      if (this.lines === 0) this.bytes = 0
      return undefined
    }
    // Between the first line and the last, one without a code is text.
    if (++this.lines > replyLinesMax || (!isReplyLine && this.lines === 1 && !this.textMayComeFirst)) {
      this.broken = true
      return undefined
    }
    this.line = ''
    if (this.text.length < replyTextBytesMax) this.text = `${this.text}${line}\n`.slice(0, replyTextBytesMax)
    if (!isReplyLine) return undefined
    this.codes.push(code)
    const goesOn = separator === '-' || (this.dashesMayLack && next === `${line.slice(0, 3)} `)
    return goesOn ? undefined : this.finish()
  }

  private finish(): Reply {
    const reply = { code: meaningOf(this.codes), text: this.text }
    this.textMayComeFirst = false
    this.dashesMayLack = false
    this.text = ''
    this.codes = []
    this.lines = 0
    this.blankLines = 0
    this.bytes = 0
    return reply
  }
}

/** What may follow the code: nothing, and a tab for a space. */
const separators = ['', ' ', '\t', '-']
/** Its meaning is unknown: temporary. */
const contradiction = 451

/** The last line's code, as long as the lines say one thing: a refusal that begins like a welcome (`220-`, `521 `) is a
 *  refusal. Of a refusal for good and one for now it is the one for now; success after a refusal is a contradiction. */
function meaningOf(codes: readonly number[]): number {
  const last = codes.at(-1) ?? contradiction
  const refusals = codes.filter((code) => code >= 400)
  if (refusals.length === 0) return last
  if (last < 400) return contradiction
  return last < 500 ? last : (refusals.find((code) => code < 500) ?? last)
}

function replyCode(line: ByteString): number | undefined {
  const first = line.charCodeAt(0) - 48
  const second = line.charCodeAt(1) - 48
  const third = line.charCodeAt(2) - 48
  // A comparison with NaN is false, so a short line is refused too.
  const valid = first >= 2 && first <= 5 && second >= 0 && second <= 9 && third >= 0 && third <= 9
  return valid ? first * 100 + second * 10 + third : undefined
}
