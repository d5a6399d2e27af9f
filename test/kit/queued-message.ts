/** Messages for the tests of the store. */
import type { Change, QueuedMessage } from '../../src/stores/queue/contract.ts'

export const head = 'Received: \xff\n'

export function message(id: number, dueMs: number, text = ''): QueuedMessage {
  return {
    id,
    bornMs: 1000,
    sender: `s${id}\xff@x`,
    uid: 7,
    bytes: text.length,
    params: new Map([['BODY', '8BITMIME']]),
    held: false,
    inFile: false,
    due: { local: undefined, remote: dueMs },
    recipients: ['a@b', 'c@d'].map((address) => {
      const original = `${address}.as-given`
      const params = new Map([['NOTIFY', 'NEVER']])
      return {
        channel: 'remote',
        address,
        original,
        prependBytes: 2,
        params,
        state: 'waiting',
        last: undefined,
        lastMs: 0,
      }
    }),
  }
}

export function add(id: number, dueMs: number, text = 'x'): Change {
  return { kind: 'add', message: message(id, dueMs, head + text), content: { head, body: Buffer.from(text, 'latin1') } }
}
