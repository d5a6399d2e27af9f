/** A message of the queue as the command line shows it: byte strings become text. */
import { toText } from '../../base/byte-string.ts'
import { field, fieldsOf, numberField, objectsField, textField } from '../../clients/admin/row.ts'

export interface QueuedRecipient {
  readonly address: string
  readonly channel: string
  readonly state: 'waiting' | 'done' | 'failed'
  readonly lastText: string
  /** What the log of this machine says of it; may be empty. */
  readonly lastDetail: string
  /** Milliseconds since 1970; 0 if there was no attempt yet. */
  readonly lastMs: number
  /** 0 if it is not waiting. */
  readonly nextMs: number
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
    state: state === 'done' || state === 'failed' ? state : 'waiting',
    lastText: toText(textField(fields, 'lastText')).trim(),
    lastDetail: toText(textField(fields, 'lastDetail')).trim(),
    lastMs: numberField(fields, 'lastMs'),
    nextMs: numberField(fields, 'nextMs'),
  }
}
