/** The loop check of a delivery: does the header hold exactly this line already? Compared byte for byte. */
import { type ByteString, toBuffer } from '../../base/byte-string.ts'

/** `line` ends in LF; the header ends at the first empty line. Reads no further than it must. */
export function headerHasLine(chunks: Iterable<Buffer>, line: ByteString): boolean {
  const wanted = toBuffer(`\n${line}`)
  // As if a line had ended before the first.
  let window = Buffer.from('\n')
  for (const chunk of chunks) {
    window = Buffer.concat([window, chunk])
    const end = window.indexOf('\n\n')
    const header = end < 0 ? window : window.subarray(0, end + 1)
    if (header.includes(wanted)) return true
    if (end >= 0) return false
    window = window.subarray(-wanted.length)
  }
  return false
}
