/** The queue, page by page, in qmail-qread's words. */
import type { ByteString } from '../../base/byte-string.ts'
import { askAll } from './ask.ts'
import { fieldsOf, numberField, objectsField, textField } from './row.ts'
import { readLines, type ReadMessage } from '../../protocols/qmail/qread.ts'
import type { Clock } from '../../system/clock.ts'

/** Messages asked for at once: each may have ten thousand recipients. */
const pageMax = 10

/** Open to every caller that may connect to the socket. Throws AdminError: the queue does not answer. */
export async function* listing(socketPath: string, clock: Clock): AsyncGenerator<ByteString> {
  for (let after = 0; ; ) {
    const rows = await askAll(socketPath, { op: 'list', after, limit: pageMax }, clock)
    const messages = rows.map(readMessage)
    for (const message of messages) yield readLines(message)
    const last = messages.at(-1)
    if (last === undefined || messages.length < pageMax) return
    after = last.id
  }
}

export function readMessage(row: unknown): ReadMessage {
  const fields = fieldsOf(row)
  const recipients = objectsField(fields, 'recipients')
  return {
    id: numberField(fields, 'id'),
    bytes: numberField(fields, 'bytes'),
    sender: textField(fields, 'sender'),
    bornMs: numberField(fields, 'bornMs'),
    bouncing: recipients.some((recipient) => textField(recipient, 'state') === 'failed'),
    recipients: recipients.map((recipient) => ({
      channel: textField(recipient, 'channel') === 'local' ? 'local' : 'remote',
      address: textField(recipient, 'address'),
      done: textField(recipient, 'state') !== 'waiting',
    })),
  }
}
