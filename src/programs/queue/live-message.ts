/** A message while it is being delivered: its state in memory, its passes, and the groups of recipients that are
 *  attempted together. Nothing of this outlives the process; the store has what must. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { domainOf } from '../../protocols/qmail/routing.ts'
import { isLastAttempt, nextAttemptMs } from '../../protocols/qmail/schedule.ts'
import { isVerp, senderFor } from '../../protocols/qmail/verp.ts'
import type { Channel, QueuedMessage } from '../../stores/queue/contract.ts'
import { recipientsPerAttemptMax } from './limits.ts'

export interface LiveMessage {
  readonly message: QueuedMessage
  /** Small content, if it is at hand. */
  content: Buffer | undefined
  /** Passes of this message that are in memory. */
  passes: number
  /** An admin's wish: nothing more is started, and the message goes when what runs has ended. */
  deleted: boolean
}

/** One walk over the recipients of a channel: those still waiting are each attempted once. */
export interface Pass {
  readonly live: LiveMessage
  readonly channel: Channel
  /** What is deferred now has failed: the message's lifetime is over. */
  readonly isLast: boolean
  /** When the next pass is due if somebody is still waiting after this one. */
  readonly nextMs: number
  /** First attempt, or a retry? */
  readonly isRetry: boolean
  groupsOpen: number
}

/** Recipients attempted together: one for local, those of one domain for remote. */
export interface Group {
  readonly pass: Pass
  readonly positions: readonly number[]
  readonly sender: ByteString
  /** In lower case; empty for local. */
  readonly domain: ByteString
  crashes: number
  /** qmail's running number of each recipient's delivery, once started. */
  deliveries: readonly number[]
  /** What lets `remote` fetch large content; empty for small. */
  token: ByteString
}

export function beginPass(
  live: LiveMessage,
  channel: Channel,
  nowMs: number,
  lifetimeSeconds: number,
): { pass: Pass; groups: Group[] } {
  const { message } = live
  const pass: Pass = {
    live,
    channel,
    isLast: isLastAttempt(message.bornMs, nowMs, lifetimeSeconds),
    nextMs: nextAttemptMs(channel, message.bornMs, nowMs),
    isRetry: message.recipients.some((recipient) => recipient.lastMs > 0),
    groupsOpen: 0,
  }
  const groups = positionsTogether(message, channel).map(({ domain, positions }): Group => {
    const first = message.recipients[positions[0] ?? 0]
    const sender = senderFor(message.sender, first?.address ?? '')
    return { pass, positions, sender, domain, crashes: 0, deliveries: [], token: '' }
  })
  pass.groupsOpen = groups.length
  return { pass, groups }
}

function positionsTogether(message: QueuedMessage, channel: Channel): { domain: ByteString; positions: number[] }[] {
  const together: { domain: ByteString; positions: number[] }[] = []
  const openByDomain = new Map<ByteString, number[]>()
  const alone = channel === 'local' || isVerp(message.sender)
  for (const [position, recipient] of message.recipients.entries()) {
    if (recipient.channel !== channel || recipient.state !== 'waiting') continue
    const domain = channel === 'local' ? '' : lowerAscii(domainOf(recipient.address))
    const open = alone ? undefined : openByDomain.get(domain)
    if (open !== undefined && open.length < recipientsPerAttemptMax) {
      open.push(position)
      continue
    }
    const positions = [position]
    together.push({ domain, positions })
    openByDomain.set(domain, positions)
  }
  return together
}

/** Live messages by id: both channels of a message share one. */
export class LiveMessages {
  private readonly byId = new Map<number, LiveMessage>()

  acquire(message: QueuedMessage, content: Buffer | undefined): LiveMessage {
    let live = this.byId.get(message.id)
    if (live === undefined) {
      live = { message, content, passes: 0, deleted: false }
      this.byId.set(message.id, live)
    }
    live.passes++
    return live
  }

  release(live: LiveMessage): void {
    live.passes--
    if (live.passes === 0) this.byId.delete(live.message.id)
  }

  get(id: number): LiveMessage | undefined {
    return this.byId.get(id)
  }
}
