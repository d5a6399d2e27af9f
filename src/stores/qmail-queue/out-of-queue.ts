/** Converts a message of ours to one of qmail's queue, and lists what that queue cannot hold. */
import type { ByteString } from '../../base/byte-string.ts'
import { bounceParagraph } from '../../protocols/qmail/bounce.ts'
import type { Channel, QueuedMessage } from '../queue/contract.ts'
import type { Leaving, LeavingChannel } from './write-queue.ts'

/** `toMachine`: a time of the queue's clock as the machine's clock shows it. */
export function outOfQueue(message: QueuedMessage, toMachine: (ms: number) => number): Omit<Leaving, 'content'> {
  const channel = (name: Channel): LeavingChannel | undefined => {
    const due = message.due[name]
    const recipients = message.recipients
      .filter((recipient) => recipient.channel === name)
      .map(({ state, address }) => ({ isDone: state !== 'waiting', address }))
    // Without a due time all recipients are done, and qmail has no file for the channel.
    return due === undefined || recipients.length === 0 ? undefined : { dueMs: toMachine(due), recipients }
  }
  return {
    bornMs: toMachine(message.bornMs),
    sender: message.sender,
    local: channel('local'),
    remote: channel('remote'),
    bounce: bounceOf(message),
  }
}

/** Failed recipients in the order in which they failed. */
function bounceOf({ recipients }: QueuedMessage): ByteString {
  return recipients
    .filter(({ state }) => state === 'failed')
    .sort((one, other) => one.lastMs - other.lastMs)
    .map(({ address, prependBytes, last }) => bounceParagraph(address.slice(prependBytes), last?.peerText ?? ''))
    .join('')
}

/** What is lost, in words; empty if nothing is. */
export function lossesOf(message: QueuedMessage): string[] {
  const ofRecipients = new Set(message.recipients.flatMap(({ params }) => [...params.keys()]))
  return [
    ...(message.held ? ['it is held, and qmail would deliver it'] : []),
    ...[...message.params.keys()].map((name) => `${name} of MAIL`),
    ...[...ofRecipients].map((name) => `${name} of RCPT`),
  ]
}
