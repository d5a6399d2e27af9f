/** Why a message is still in the queue, in sentences: first the waiting recipients, each with the last reply and the next
 *  attempt; then what is done already. */
import { explainTrouble, troubleIn } from '../../contracts/troubles.ts'
import { duration, harmless, inOneLine, when } from './output.ts'
import type { QueuedMessage, QueuedRecipient } from './queue-message.ts'

/** A message to a thousand recipients is explained by the first few. */
const shownMax = 20

export function explainMessage(message: QueuedMessage, nowMs: number): string[] {
  const waiting = message.recipients.filter(({ state }) => state === 'waiting')
  const age = duration(nowMs - message.bornMs)
  const sentences = [
    `Message ${message.id} is ${age} old and waits for ${count(waiting.length, 'recipient')} of ${message.recipients.length}.`,
  ]
  if (message.held) sentences.push('It is held: nothing is tried until it is released.')
  for (const recipient of waiting.slice(0, shownMax))
    sentences.push(explainRecipient(recipient, nowMs, message.delivering))
  if (waiting.length > shownMax) sentences.push(`${waiting.length - shownMax} more wait, too.`)
  const failed = message.recipients.filter(({ state }) => state === 'failed').length
  const delivered = message.recipients.length - waiting.length - failed
  if (delivered > 0) sentences.push(`${count(delivered, 'recipient')} ${delivered === 1 ? 'has' : 'have'} it already.`)
  if (failed > 0)
    sentences.push(`${count(failed, 'recipient')} failed for good; the bounce goes out when the others are done.`)
  return sentences
}

function explainRecipient(recipient: QueuedRecipient, nowMs: number, delivering: boolean): string {
  const { address, channel, lastText, lastMs, nextMs } = recipient
  const whom = `${harmless(address)} (${channel})`
  const said =
    lastText === ''
      ? 'has not been tried yet'
      : `was tried ${lastMs === 0 ? 'before' : `${duration(nowMs - lastMs)} ago`}, with the answer "${harmless(inOneLine(lastText))}"`
  const cause = troubleIn(recipient.lastDetail)
  const why = cause === undefined || lastText === '' ? '' : ` Cause: ${harmless(explainTrouble(cause))}.`
  const detail = recipient.lastDetail === '' ? '' : ` The log says: ${harmless(recipient.lastDetail)}.`
  return `${whom} ${said}; ${nextAttempt(nextMs, nowMs, delivering)}.${detail}${why}`
}

function nextAttempt(nextMs: number, nowMs: number, delivering: boolean): string {
  if (delivering) return 'an attempt is running now'
  if (nextMs === 0) return 'the time of the next attempt is not known yet'
  if (nextMs <= nowMs) return 'it is due now and waits for a free place'
  return `the next attempt is in ${duration(nextMs - nowMs)}, at ${when(nextMs)}`
}

function count(number: number, word: string): string {
  return number === 1 ? `1 ${word}` : `${number} ${word}s`
}
