/** What a change does to a message: told here once, for the messages that the queue has in memory. An engine's statements do
 *  the same to its rows; contract.test.ts holds them to this. */
import { channels, type MessageChange, type QueuedMessage } from './contract.ts'

export function changeMessage(message: QueuedMessage, change: MessageChange): void {
  switch (change.kind) {
    case 'mark': {
      const recipient = message.recipients[change.position]
      if (recipient !== undefined)
        Object.assign(recipient, { state: change.state, last: change.last, lastMs: change.ms })
      break
    }
    case 'due':
      message.due[change.channel] = change.atMs
      break
    case 'hold':
      message.held = change.held
      break
    case 'hurry':
      for (const channel of channels) message.due[channel] = earlier(message.due[channel], change.atMs)
      break
    case 'clamp':
      message.bornMs = Math.min(message.bornMs, change.bornMs)
      for (const channel of channels) message.due[channel] = earlier(message.due[channel], change.dueMs[channel])
      break
  }
}

function earlier(dueMs: number | undefined, atMs: number): number | undefined {
  return dueMs === undefined ? undefined : Math.min(dueMs, atMs)
}
