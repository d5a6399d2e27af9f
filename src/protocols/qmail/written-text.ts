/** Text of files that people write: control files, `.qmail`, users/assign, tcprules and their kin, in whatever editor on
 *  whatever system. Whoever reads such a file begins here.
 *  Knows:  that a byte order mark in front is no content; that what cannot be seen at the end of a line says nothing; that
 *          CR alone ended lines once. */
import type { ByteString } from '../../base/byte-string.ts'

const utf8Mark = '\xef\xbb\xbf'
const trailing = ' \t\r\f\v'
/** No-break space, next line, zero width space, and the mark again: pasted from web pages and word processors. */
const trailingUtf8 = ['\xc2\xa0', '\xc2\x85', '\xe2\x80\x8b', utf8Mark]

/** Without line ends; what the last line end closes is the last line. */
export function writtenLines(text: ByteString): ByteString[] {
  const lines = (text.startsWith(utf8Mark) ? text.slice(utf8Mark.length) : text).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.flatMap((line) => {
    const trimmed = trimLine(line)
    return trimmed.includes('\r') ? trimmed.split('\r').map(trimLine) : [trimmed]
  })
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
