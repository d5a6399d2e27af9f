/** A message of the queue as the command line shows it: byte strings become text. */
import { toText } from '../../base/byte-string.ts'
import { field, fieldsOf, numberField, objectsField, textField } from '../../clients/admin/row.ts'

export interface QueuedRecipient {
  readonly address: string
  readonly channel: string
  /** As it was handed in, before it was routed. */
  readonly original: string
  /** Its parameters at RCPT. */
  readonly params: Readonly<Record<string, string>>
  readonly state: 'waiting' | 'done' | 'failed'
  /** RFC 3463, `4.4.1`; empty before the first attempt. */
  readonly lastStatus: string
  readonly lastText: string
  /** This machine's log text; may be empty. */
  readonly lastDetail: string
  /** The other host of the last attempt, and its reply; null if there was none. */
  readonly lastAnswer: Answer | null
  /** Milliseconds since 1970; 0 if there was no attempt yet. */
  readonly lastMs: number
  /** 0 if it is not waiting. */
  readonly nextMs: number
}

export interface Answer {
  readonly name: string
  readonly address: string
  /** 0: no reply. */
  readonly code: number
  readonly lines: readonly string[]
}

export interface QueuedMessage {
  readonly id: number
  readonly bytes: number
  readonly sender: string
  readonly bornMs: number
  readonly uid: number
  readonly held: boolean
  readonly delivering: boolean
  readonly recipients: readonly QueuedRecipient[]
}

export function readMessage(row: unknown): QueuedMessage {
  const fields = fieldsOf(row)
  return {
    id: numberField(fields, 'id'),
    bytes: numberField(fields, 'bytes'),
    sender: toText(textField(fields, 'sender')),
    bornMs: numberField(fields, 'bornMs'),
    uid: numberField(fields, 'uid'),
    held: field(fields, 'held') === true,
    delivering: field(fields, 'delivering') === true,
    recipients: objectsField(fields, 'recipients').map(readRecipient),
  }
}

function readRecipient(fields: object): QueuedRecipient {
  const state = textField(fields, 'state')
  return {
    address: toText(textField(fields, 'address')),
    channel: textField(fields, 'channel'),
    original: toText(textField(fields, 'original')),
    params: readParams(field(fields, 'params')),
    state: state === 'done' || state === 'failed' ? state : 'waiting',
    lastStatus: textField(fields, 'lastStatus'),
    lastText: toText(textField(fields, 'lastText')).trim(),
    lastDetail: toText(textField(fields, 'lastDetail')).trim(),
    lastAnswer: readAnswer(field(fields, 'lastAnswer')),
    lastMs: numberField(fields, 'lastMs'),
    nextMs: numberField(fields, 'nextMs'),
  }
}

function readParams(value: unknown): Record<string, string> {
  const params = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return Object.fromEntries(params.map(([name, said]) => [name, toText(String(said))]))
}

function readAnswer(value: unknown): Answer | null {
  if (typeof value !== 'object' || value === null) return null
  const lines = toText(textField(value, 'lines')).split('\n')
  // The last line has its end, too.
  if (lines.at(-1) === '') lines.pop()
  return {
    name: textField(value, 'name'),
    address: textField(value, 'address'),
    code: numberField(value, 'code'),
    lines,
  }
}
