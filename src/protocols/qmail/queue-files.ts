/** What stands in the files of a qmail's queue: todo, info, local and remote are records that end in NUL, each begun by a
 *  letter; bounce is paragraphs. */
import type { ByteString } from '../../base/byte-string.ts'

/** Of todo and intd. */
export interface QueuedEnvelope {
  /** Of the user who handed it in; undefined where the file does not say. */
  readonly uid: number | undefined
  readonly sender: ByteString
  readonly recipients: readonly ByteString[]
}

export interface ChannelRecipient {
  readonly isDone: boolean
  readonly address: ByteString
}

/** A string is what is wrong, said of the file. */
export function parseQueuedEnvelope(text: ByteString): QueuedEnvelope | string {
  const { records, rest } = recordsOf(text)
  if (rest !== '') return cutOff
  let sender: ByteString | undefined
  let uid: number | undefined
  const recipients: ByteString[] = []
  for (const record of records) {
    const value = record.slice(1)
    if (record.startsWith('T')) recipients.push(value)
    else if (record.startsWith('F')) sender = value
    else if (record.startsWith('u')) uid = /^[0-9]{1,10}$/.test(value) ? Number(value) : undefined
    else if (!record.startsWith('p')) return unknownRecord(record)
  }
  return sender === undefined ? 'says no sender' : { uid, sender, recipients }
}

/** The sender; a string in an object is what is wrong. */
export function parseInfo(text: ByteString): { readonly sender: ByteString } | string {
  const { records, rest } = recordsOf(text)
  const [first] = records
  if (first === undefined) return rest === '' ? 'is empty' : cutOff
  return first.startsWith('F') ? { sender: first.slice(1) } : unknownRecord(first)
}

/** `fault`: what keeps qmail-send, and us, from knowing the rest. */
export function parseChannel(text: ByteString): {
  readonly recipients: readonly ChannelRecipient[]
  readonly fault: string | undefined
} {
  const { records, rest } = recordsOf(text)
  const strange = records.find((record) => !record.startsWith('T') && !record.startsWith('D'))
  const recipients = records
    .filter((record) => record.startsWith('T') || record.startsWith('D'))
    .map((record) => ({ isDone: record.startsWith('D'), address: record.slice(1) }))
  return { recipients, fault: strange === undefined ? (rest === '' ? undefined : cutOff) : unknownRecord(strange) }
}

export function formatChannel(recipients: readonly ChannelRecipient[]): ByteString {
  return recipients.map(({ isDone, address }) => `${isDone ? 'D' : 'T'}${address}\0`).join('')
}

export function formatInfo(sender: ByteString): ByteString {
  return `F${sender}\0`
}

export interface BounceText {
  /** As the sender is shown it: without a virtual domain's prepend, `_` for LF. */
  readonly shown: ByteString
  readonly report: ByteString
}

/** The paragraphs of a bounce file, each such that `bounceParagraph` makes the same bytes of it again. What has no recipient
 *  on top is about no recipient, and kept. */
export function parseBounceTexts(text: ByteString): BounceText[] {
  const texts: BounceText[] = []
  let at = 0
  while (at < text.length) {
    const headEnd = text.indexOf('\n', at)
    const head = headEnd < 0 ? '' : text.slice(at, headEnd)
    const hasHead = head.startsWith('<') && head.endsWith('>:')
    const from = hasHead ? headEnd : at
    let end = text.indexOf('\n\n', from)
    end = end < 0 ? text.length : end + 2
    while (text[end] === '\n') end++
    // The last LF ends the paragraph, and is not of the report.
    const report = text.slice(hasHead ? headEnd + 1 : at, text.endsWith('\n\n', end) ? end - 1 : end)
    texts.push({ shown: hasHead ? head.slice(1, -2) : '', report })
    at = end
  }
  return texts
}

/** The user who handed a message in, by the line that qmail-queue put on top of it: a uid, or the name of a role of qmail's. */
export function invokerOf(firstLine: ByteString): number | 'network' | 'alias' | 'bounce' | undefined {
  const found =
    /^Received: \(qmail [0-9]+ invoked (?:by uid ([0-9]{1,10})|(?:from|by|for) (network|alias|bounce))\);/.exec(
      firstLine,
    )
  if (found === null) return undefined
  if (found[1] !== undefined) return Number(found[1])
  return found[2] === 'network' || found[2] === 'alias' || found[2] === 'bounce' ? found[2] : undefined
}

const cutOff = 'ends in the middle of a record'

function unknownRecord(record: ByteString): string {
  return `has a record of an unknown kind (${JSON.stringify(record.slice(0, 1))})`
}

/** `rest`: what follows the last NUL. */
function recordsOf(text: ByteString): { records: ByteString[]; rest: ByteString } {
  const records = text.split('\0')
  const rest = records.pop() ?? ''
  return { records, rest }
}
