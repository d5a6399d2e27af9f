/** Where a header begins and ends, and its fields (RFC 5322 §2.2), in messages that people and scripts write.
 *  Begins:  after a byte order mark, blank lines and mbox lines (`From joe Thu …`, as git and old spools write them), if
 *           a field follows them. An mbox line becomes a field, as qmail-inject makes it.
 *  Ends:    at the empty line; or at the first line that can be no field and no continuation. That begins the body, and an
 *           empty line is put there. Until the real one comes, fields that name blind recipients are taken out all the same:
 *           their writers did not want them read.
 *  Never:   holds more than the header and a line. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { BlindCopyFilter } from './blind-copies.ts'

export interface Field {
  /** In lower case, without bytes that are none of a name (RFC 5322 §2.2) and that another reader could pass over. */
  readonly name: ByteString
  /** As it came: name, colon, value, continuations, each line with its LF. */
  readonly raw: ByteString
  /** What follows the colon, with its continuations and without the last LF. */
  readonly value: ByteString
}

/** How far text before the header is searched for its beginning. */
const preludeBytesMax = 4096

/** Gathers a header from pieces cut anywhere. */
export class HeaderGatherer {
  readonly fields: Field[] = []
  private prelude: Prelude | undefined = new Prelude()
  private name = ''
  private valueAt = 0
  private lines: ByteString[] = []
  private partial = ''
  private body: BlindCopyFilter | undefined

  /** What follows is body that need not be looked at. */
  get isOver(): boolean {
    return this.body?.isOver === true
  }

  /** The part of the body in the piece, the first with an empty line in front; undefined while the header goes on. */
  push(piece: ByteString): ByteString | undefined {
    if (this.body !== undefined) return this.body.push(piece)
    const text = this.partial + piece
    let at = 0
    for (;;) {
      const end = text.indexOf('\n', at)
      if (end < 0) break
      const line = text.slice(at, end + 1)
      at = end + 1
      if (this.prelude === undefined) {
        if (!this.take(line)) return this.endHeader(line, text.slice(at))
      } else if (!this.prelude.take(line)) {
        const { prelude } = this
        this.prelude = undefined
        if (!prelude.isBefore(line)) return this.endHeader('', `${prelude.text}${line}${text.slice(at)}`)
        for (const mboxLine of prelude.mboxLines) this.takeMboxLine(mboxLine)
        this.take(prelude.unmarked(line))
      }
    }
    this.partial = text.slice(at)
    return undefined
  }

  /** The message ended: what of the body has not been given yet. */
  end(): ByteString {
    let rest = this.partial === '' || this.body !== undefined ? '' : (this.push('\n') ?? '')
    if (this.prelude !== undefined && this.prelude.text !== '') {
      const { text } = this.prelude
      this.prelude = undefined
      rest = this.endHeader('', text)
    }
    this.finishField()
    return rest + (this.body?.end() ?? '')
  }

  /** `line` ended it; empty: there was none. */
  private endHeader(line: ByteString, rest: ByteString): ByteString {
    this.finishField()
    this.body = new BlindCopyFilter()
    if (isEmpty(line)) return `\n${this.body.pass(rest)}`
    const text = line + rest
    const blankLines = line === '' ? (/^(?:[ \t\r]*\n)*/.exec(text)?.[0] ?? '') : ''
    const body = blankLines + this.body.push(text.slice(blankLines.length))
    return isEmpty(blankLines.slice(0, blankLines.indexOf('\n') + 1)) ? body : `\n${body}`
  }

  /** False: the line is not of the header. */
  private take(line: ByteString): boolean {
    if (isContinuation(line) && this.lines.length > 0) {
      this.lines.push(line)
      return true
    }
    const field = fieldName.exec(line)
    if (field !== null) this.begin(field[1] ?? '', field[0].length, line)
    else if (isMboxLine(line)) this.takeMboxLine(line)
    else return false
    return true
  }

  private takeMboxLine(line: ByteString): void {
    const name = 'MBOX-Line'
    this.begin(name, name.length + 1, `${name}: ${line}`)
  }

  private begin(name: ByteString, valueAt: number, line: ByteString): void {
    this.finishField()
    this.name = lowerAscii(name.replace(/[^!-~]/g, ''))
    this.valueAt = valueAt
    this.lines = [line]
  }

  private finishField(): void {
    if (this.lines.length === 0) return
    const raw = this.lines.join('')
    this.fields.push({ name: this.name, raw, value: raw.slice(this.valueAt, -1) })
    this.lines = []
  }
}

/** What stands before the first field, or before a body without header. */
class Prelude {
  /** As it came. */
  text = ''
  readonly mboxLines: ByteString[] = []
  private hasBlankLines = false

  /** False: the line is no part of it. */
  take(line: ByteString): boolean {
    if (this.text.length + line.length > preludeBytesMax) return false
    const unmarked = this.unmarked(line)
    if (/^[ \t\r]*\n$/.test(unmarked)) this.hasBlankLines = true
    else if (isMboxLine(unmarked)) this.mboxLines.push(unmarked)
    else return false
    this.text += line
    return true
  }

  /** `line` begins a header: after blank lines only a field that people know, for a text may begin with a word and a
   *  colon. */
  isBefore(line: ByteString): boolean {
    const name = fieldName.exec(this.unmarked(line))?.[1]
    return name !== undefined && (!this.hasBlankLines || usualFields.has(lowerAscii(name)))
  }

  /** The first line without its byte order mark. */
  unmarked(line: ByteString): ByteString {
    return this.text === '' && line.startsWith(byteOrderMark) ? line.slice(byteOrderMark.length) : line
  }
}

/** Bytes that do not belong there are taken along: the line is a field to most readers. */
const fieldName = /^([^ \t\r\n\v\f:]+)[ \t]*:/
const byteOrderMark: ByteString = '\xef\xbb\xbf'
const usualFields: ReadonlySet<ByteString> = new Set(
  'bcc,cc,content-type,date,from,message-id,mime-version,received,reply-to,resent-bcc,sender,subject,to'.split(','),
)

function isContinuation(line: ByteString): boolean {
  return line.startsWith(' ') || line.startsWith('\t')
}

function isEmpty(line: ByteString): boolean {
  return line === '\n' || line === '\r\n'
}

/** The line between messages of an mbox file, quoted or not. */
function isMboxLine(line: ByteString): boolean {
  return /^>{0,9}From [^:]/.test(line) && !fieldName.test(line)
}
