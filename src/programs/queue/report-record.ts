/** What is kept of a report: the recipient's state and its status, whose texts are bounded for all recipients of a message. A
 *  list whose every address is refused at length must not cost a hundred megabytes. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import type { QueuedRecipient } from '../../stores/queue/contract.ts'
import { reportBeginningBytesMax, reportBytesMax } from './limits.ts'
import type { LiveMessage } from './live-message.ts'

const leftOut = '\n(The rest of this report is left out.)\n'

/** The lines of an answer are a part of the text, and not counted besides. */
export function bytesOf(last: Status | undefined): number {
  return last === undefined ? 0 : last.peerText.length + last.logText.length
}

/** What is kept of the status. */
export function recordReport(
  live: Pick<LiveMessage, 'reportBytes'>,
  recipient: QueuedRecipient,
  status: Status,
  nowMs: number,
): Status {
  const others = live.reportBytes - bytesOf(recipient.last)
  const kept = others + bytesOf(status) > reportBytesMax ? beginning(status) : status
  recipient.last = kept
  recipient.lastMs = nowMs
  live.reportBytes = others + bytesOf(kept)
  if (status.class === 2) recipient.state = 'done'
  if (status.class === 5) recipient.state = 'failed'
  return kept
}

function beginning(status: Status): Status {
  const { peerText, logText, answer } = status
  return {
    ...status,
    peerText: beginningOf(peerText),
    logText: logText.slice(0, reportBeginningBytesMax),
    answer: answer && { ...answer, lines: answer.lines.slice(0, reportBeginningBytesMax) },
  }
}

function beginningOf(text: ByteString): ByteString {
  if (text.length <= reportBeginningBytesMax + leftOut.length) return text
  return text.slice(0, reportBeginningBytesMax) + leftOut
}
