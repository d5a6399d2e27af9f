/** What is kept of a report: the recipient's state and its status, whose texts are bounded for all recipients of a message. A
 *  list whose every address is refused at length must not cost a hundred megabytes. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import { changeMessage } from '../../stores/queue/change.ts'
import type { MessageChange } from '../../stores/queue/contract.ts'
import { reportBeginningBytesMax, reportBytesMax } from './limits.ts'
import type { LiveMessage } from './live-message.ts'

const states = { 2: 'done', 4: 'waiting', 5: 'failed' } as const
const leftOut = '\n(The rest of this report is left out.)\n'

/** The lines of an answer are a part of the text, and not counted besides. */
export function bytesOf(last: Status | undefined): number {
  return last === undefined ? 0 : last.peerText.length + last.logText.length
}

/** What the report changes of a recipient; for the store, and done in memory already. */
export function recordReport(
  live: Pick<LiveMessage, 'message' | 'reportBytes'>,
  position: number,
  status: Status,
  nowMs: number,
): MessageChange {
  const { id, recipients } = live.message
  const others = live.reportBytes - bytesOf(recipients[position]?.last)
  const last = others + bytesOf(status) > reportBytesMax ? beginning(status) : status
  live.reportBytes = others + bytesOf(last)
  const change: MessageChange = { kind: 'mark', id, position, state: states[status.class], last, ms: nowMs }
  changeMessage(live.message, change)
  return change
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
