/** What is kept of a report: the recipient's state and the text, within a bound for all recipients of a message. A list
 *  whose every address is refused at length must not cost a hundred megabytes. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Report } from '../../contracts/deliver.ts'
import type { QueuedRecipient } from '../../stores/queue/contract.ts'
import { reportBeginningBytesMax, reportBytesMax } from './limits.ts'
import type { LiveMessage } from './live-message.ts'

const leftOut = '\n(The rest of this report is left out.)\n'

export function recordReport(
  live: Pick<LiveMessage, 'reportBytes'>,
  recipient: QueuedRecipient,
  report: Report,
  nowMs: number,
): void {
  const others = live.reportBytes - recipient.lastText.length
  const isTooMuch = others + report.text.length > reportBytesMax
  recipient.lastText = isTooMuch ? beginning(report.text) : report.text
  recipient.lastMs = nowMs
  live.reportBytes = others + recipient.lastText.length
  if (report.letter === 'K') recipient.state = 'done'
  if (report.letter === 'D') recipient.state = 'failed'
}

function beginning(text: ByteString): ByteString {
  if (text.length <= reportBeginningBytesMax + leftOut.length) return text
  return text.slice(0, reportBeginningBytesMax) + leftOut
}
