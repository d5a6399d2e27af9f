/** Bounces in qmail's format (QSBMF). The texts are read by programs: every byte counts. */
import type { ByteString } from '../../base/byte-string.ts'
import { headerDate } from './date.ts'
import { quoteAddress, quoteLocalPart } from './quote.ts'
import { bounceRecipient } from './verp.ts'

/** What a failed recipient adds to the bounce: no blank line inside, one after. `recipient` is shown as it is. */
export function bounceParagraph(recipient: ByteString, report: ByteString): ByteString {
  let text = `<${recipient.replaceAll('\n', '_')}>:\n${report}`
  if (report !== '' && !report.endsWith('\n')) text += '\n'
  let shown = ''
  for (let at = 0; at < text.length; at++) {
    const isBlankLine = at > 0 && at < text.length - 1 && text[at] === '\n' && text[at - 1] === '\n'
    shown += isBlankLine ? '/' : text[at]
  }
  return `${shown}\n`
}

export interface FailedRecipient {
  readonly address: ByteString
  readonly report: ByteString
}

/** The paragraphs of as many as `bytesMax` holds, and how many it does not. */
export function bounceParagraphs(
  failed: readonly FailedRecipient[],
  bytesMax: number,
): { paragraphs: ByteString; leftOut: number } {
  const paragraphs: ByteString[] = []
  let bytes = 0
  for (const { address, report } of failed) {
    const paragraph = bounceParagraph(address, report)
    bytes += paragraph.length
    if (bytes > bytesMax) break
    paragraphs.push(paragraph)
  }
  return { paragraphs: paragraphs.join(''), leftOut: failed.length - paragraphs.length }
}

export interface BounceSettings {
  readonly bouncefrom: ByteString
  readonly bouncehost: ByteString
  readonly doublebounceto: ByteString
  readonly doublebouncehost: ByteString
}

export interface Bounce {
  readonly sender: ByteString
  readonly recipient: ByteString
  /** All up to the copy of the message, which follows it to the byte. */
  readonly head: ByteString
}

/** Undefined for a bounce of a double bounce: it is discarded. `leftOut`: how many failed besides those of the paragraphs. */
export function composeBounce(
  originalSender: ByteString,
  paragraphs: ByteString,
  nowMs: number,
  settings: BounceSettings,
  leftOut = 0,
): Bounce | undefined {
  if (originalSender === '#@[]') return undefined
  const isDouble = originalSender === ''
  const recipient = isDouble
    ? `${settings.doublebounceto}@${settings.doublebouncehost}`
    : bounceRecipient(originalSender)
  const reason = isDouble
    ? 'I tried to deliver a bounce message to this address, but the bounce bounced!\n'
    : "I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
      "This is a permanent error; I've given up. Sorry it didn't work out.\n"
  const separator = isDouble
    ? '--- Below this line is the original bounce.\n'
    : '--- Below this line is a copy of the message.\n'
  const head =
    `Date: ${headerDate(nowMs)}\n` +
    `From: ${quoteLocalPart(settings.bouncefrom)}@${settings.bouncehost}\n` +
    `To: ${quoteAddress(recipient)}\n` +
    'Subject: failure notice\n' +
    '\n' +
    `Hi. This is the qmail-send program at ${settings.bouncehost}.\n` +
    `${reason}${leftOut === 0 ? '' : `There are ${leftOut} more of them than are listed here.\n`}\n${paragraphs}${separator}\n` +
    `Return-Path: <${quoteAddress(bounceRecipient(originalSender))}>\n`
  return { sender: isDouble ? '#@[]' : '', recipient, head }
}
