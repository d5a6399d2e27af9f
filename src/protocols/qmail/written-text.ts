/** Text of files that people write: control files, `.qmail`, users/assign, tcprules and their kin, in whatever editor on
 *  whatever system. Every reader of such a file begins here.
 *  Knows:  that a byte order mark in front is no content; that what cannot be seen at the end of a line says nothing; that
 *          CR alone ended lines once. */
import type { ByteString } from '../../base/byte-string.ts'

const utf8Mark = '\xef\xbb\xbf'
const trailing = ' \t\r\f\v'
/** No-break space, next line, zero width space, and the mark again: pasted from web pages and word processors. */
const trailingUtf8 = ['\xc2\xa0', '\xc2\x85', '\xe2\x80\x8b', utf8Mark]

/** Without line ends; what the last line end closes is the last line. */
export function writtenLines(text: ByteString): ByteString[] {
  return [...linesIn(text)].map(({ line }) => line)
}

/** The others stay as they were written, to the byte. */
export function withoutLines(text: ByteString, isGone: (line: ByteString) => boolean): ByteString {
  return [...linesIn(text)].map(({ line, written }) => (isGone(line) ? '' : written)).join('')
}

/** `written`: with its end, and whatever says nothing. */
function* linesIn(text: ByteString): Generator<{ readonly line: ByteString; readonly written: ByteString }> {
  const mark = text.startsWith(utf8Mark) ? utf8Mark : ''
  let [before, from] = [mark, mark.length]
  while (from < text.length) {
    const found = text.indexOf('\n', from)
    const end = found < 0 ? text.length : found + 1
    const whole = text.slice(from, found < 0 ? end : found)
    const parts = trimLine(whole).split('\r')
    const last = parts.pop() ?? ''
    for (const part of parts) {
      yield { line: trimLine(part), written: `${before}${part}\r` }
      before = ''
      from += part.length + 1
    }
    yield { line: trimLine(last), written: before + text.slice(from, end) }
    before = ''
    from = end
  }
}

/** Why the bytes are not text in lines, as it follows the file's name; undefined: they are. */
export function encodingFault(text: ByteString): string | undefined {
  const isMarked = text.startsWith('\xff\xfe') || text.startsWith('\xfe\xff')
  const isUtf16 = isMarked || (text.length > 1 && (text[0] === '\0') !== (text[1] === '\0'))
  return isUtf16 ? 'is UTF-16: save it as UTF-8' : undefined
}

function trimLine(line: ByteString): ByteString {
  let end = line.length
  for (;;) {
    const unseen = trailingUtf8.find((bytes) => line.endsWith(bytes, end))
    if (unseen !== undefined) end -= unseen.length
    else if (end > 0 && trailing.includes(line.charAt(end - 1))) end--
    else break
  }
  return end === line.length ? line : line.slice(0, end)
}
