/** A message while it is being delivered: its state in memory, its passes, and the groups of recipients that are
 *  attempted together. Nothing of this outlives the process; the store has what must. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { relayedParam } from '../../contracts/envelope.ts'
import { domainOf } from '../../protocols/qmail/routing.ts'
import { isLastAttempt, nextAttemptMs } from '../../protocols/qmail/schedule.ts'
import { isVerp, senderFor } from '../../protocols/qmail/verp.ts'
import type { Channel, QueuedMessage, QueuedRecipient } from '../../stores/queue/contract.ts'
import { recipientsPerAttemptMax } from './limits.ts'
import { bytesOf } from './report-record.ts'

export interface LiveMessage {
  readonly message: QueuedMessage
  /** Small content, if it is at hand. */
  content: Buffer | undefined
  /** Passes of this message that are in memory. */
  passes: number
  /** Bytes of its recipients' last reports. */
  reportBytes: number
  /** Commits of its marks under way. */
  uncommitted: number
  /** An administrator's wish: it is gone from the store; what runs may end, nothing more is started. */
  deleted: boolean
  /** Likewise: what is deferred there is due again as soon as the pass is over. */
  readonly hurried: Set<Channel>
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
  readonly groups: readonly Group[]
  groupsOpen: number
  /** Of the open ones, those that wait because their share of the slots is taken. */
  groupsWaiting: number
}

/** Recipients attempted together: one for local, those of one domain for remote. */
export interface Group {
  readonly pass: Pass
  readonly positions: readonly number[]
  readonly sender: ByteString
  /** Whose share of the slots it takes: a domain in lower case, or a uid. Empty for local until lspawn has told the uid. */
  share: string
  /** Of who handed it in, and of him the sender's, which it takes besides; none for local. */
  readonly originShares: readonly string[]
  /** Which of them it waits for, if it waits. */
  waitsFor: string
  /** Its host has its share of attempts: it is on its way back to a slot, and counts in its shares all the while. */
  isAside: boolean
  timesAside: number
  crashes: number
  /** qmail's running number of each recipient's delivery, once started. */
  deliveries: readonly number[]
  /** What lets a deliverer fetch large content; empty for small. */
  token: ByteString
  /** Its deliverer has been given the body's descriptor. */
  isHanded: boolean
}

export function beginPass(live: LiveMessage, channel: Channel, nowMs: number, lifetimeSeconds: number): Pass {
  const { message } = live
  const groups: Group[] = []
  const pass: Pass = {
    live,
    channel,
    isLast: isLastAttempt(message.bornMs, nowMs, lifetimeSeconds),
    nextMs: nextAttemptMs(channel, message.bornMs, nowMs),
    isRetry: message.recipients.some((recipient) => recipient.lastMs > 0),
    groups,
    groupsOpen: 0,
    groupsWaiting: 0,
  }
  const originShares = channel === 'remote' ? originSharesOf(message) : []
  for (const { domain, positions } of positionsTogether(message, channel, nowMs)) {
    const first = message.recipients[positions[0] ?? 0]
    const sender = senderFor(message.sender, first?.address ?? '')
    groups.push({
      pass,
      positions,
      sender,
      share: domain,
      originShares,
      waitsFor: '',
      isAside: false,
      timesAside: 0,
      crashes: 0,
      deliveries: [],
      token: '',
      isHanded: false,
    })
  }
  pass.groupsOpen = groups.length
  return pass
}

/** Of who hands in: his uid, or whom smtpd relays for. Of him, the sender: not a VERP sender, which is another for each
 *  recipient, and not the sender alone, because he may call himself by many. */
function originSharesOf({ sender, uid, params }: QueuedMessage): string[] {
  const by = params.get(relayedParam) || uid
  return [`by ${by}`, `by ${by} from ${lowerAscii(sender)}`]
}

/** Whose mail an origin share is about. */
export interface Origin {
  readonly originShare: string
  /** Of one of his senders, not of all. */
  readonly isSender: boolean
}

/** Undefined of other shares: no domain has a space, and a uid's share of its own deliveries begins with another word. */
export function originOf(share: string): Origin | undefined {
  if (!share.startsWith('by ')) return undefined
  const end = share.indexOf(' from ')
  return { originShare: end === -1 ? share : share.slice(0, end), isSender: end !== -1 }
}

function positionsTogether(
  message: QueuedMessage,
  channel: Channel,
  nowMs: number,
): { domain: ByteString; positions: number[] }[] {
  const together: { domain: ByteString; positions: number[] }[] = []
  const openByDomain = new Map<ByteString, number[]>()
  const alone = channel === 'local' || isVerp(message.sender)
  for (const [position, recipient] of message.recipients.entries()) {
    if (recipient.channel !== channel || recipient.state !== 'waiting') continue
    if (wasTriedInThisPass(recipient, message.due[channel], nowMs)) continue
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

/** The due time moves when a pass ends. An attempt after it belongs to a pass that was interrupted and goes on now. */
function wasTriedInThisPass({ lastMs }: QueuedRecipient, dueMs: number | undefined, nowMs: number): boolean {
  return dueMs !== undefined && lastMs >= dueMs && lastMs <= nowMs
}

/** Live messages by id: both channels of a message share one. */
export class LiveMessages {
  private readonly byId = new Map<number, LiveMessage>()

  acquire(message: QueuedMessage, content: Buffer | undefined): LiveMessage {
    let live = this.byId.get(message.id)
    if (live === undefined) {
      let reportBytes = 0
      for (const recipient of message.recipients) reportBytes += bytesOf(recipient.last)
      live = { message, content, passes: 0, reportBytes, uncommitted: 0, deleted: false, hurried: new Set() }
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
