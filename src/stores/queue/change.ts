/** What a change does to a message, for the messages that the queue has in memory. An engine's statements do the same to its
 *  rows; contract.test.ts checks that. */
import { type Channel, channels, type MessageChange, type QueuedMessage } from './contract.ts'

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

/** Makes due what is left to do for a message: its waiting recipients, or its end. Empty if all is in order. */
export function schedulingChanges(message: QueuedMessage, atMs: number): MessageChange[] {
  const isDue = channels.some((channel) => message.due[channel] !== undefined)
  const waits = (channel: Channel): boolean =>
    message.recipients.some((one) => one.channel === channel && one.state === 'waiting')
  const stuck = channels.filter((channel) => message.due[channel] === undefined && waits(channel))
  const hurried = stuck.length > 0 || isDue ? stuck : (['local'] as const)
  return hurried.map((channel) => ({ kind: 'due', id: message.id, channel, atMs }))
}

function earlier(dueMs: number | undefined, atMs: number): number | undefined {
  return dueMs === undefined ? undefined : Math.min(dueMs, atMs)
}
