/** What may be a report in a mail: its attachments, whatever their media types and names say, and the text itself.
 *  Fails:  throws ReportError for a mail that is nested too deep or has too large a header. */
import PostalMime from 'postal-mime'
import { describeError } from '../../base/outcome.ts'
import { ReportError } from './report-error.ts'

const nestingMax = 16
const headerBytesMax: number = 1024 * 1024
const partsMax = 20

/** Decoded, in the order in which they stand. */
export async function mailParts(message: Uint8Array): Promise<readonly Uint8Array[]> {
  try {
    const { attachments, text } = await PostalMime.parse(message, {
      attachmentEncoding: 'arraybuffer',
      maxNestingDepth: nestingMax,
      maxHeadersSize: headerBytesMax,
    })
    const attached = attachments.slice(0, partsMax).map(({ content }) => {
      return typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content)
    })
    return text === undefined ? attached : [...attached, new TextEncoder().encode(text.trimStart())]
  } catch (error) {
    throw new ReportError(`the mail cannot be read: ${describeError(error)}`)
  }
}
