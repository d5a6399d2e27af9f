/** Converts a message of a qmail's queue to one of ours. Done recipients stay done, failed ones keep their place in the bounce,
 *  births and due times are kept; only a message that qmail had not routed yet is routed, and due at once. */
import type { ByteString } from '../../base/byte-string.ts'
import { plainFailure, type Status } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { delivered } from '../../protocols/qmail/delivery-status.ts'
import { parseBounceTexts } from '../../protocols/qmail/queue-files.ts'
import { prependBytesOf, routeRecipient, type RoutingTables } from '../../protocols/qmail/routing.ts'
import { type Channel, channels, type QueuedMessage, type QueuedRecipient } from '../queue/contract.ts'
import type { QmailMessage, QmailQueued, QmailRouted } from './read-queue.ts'

/** Times are of the queue's own clock. */
export interface Arriving {
  readonly nowMs: number
  /** How far that clock is ahead of the machine's. */
  readonly aheadMs: number
  readonly tables: RoutingTables
  readonly uidOf: (invoker: QmailMessage['invoker']) => number
}

export function intoQueue(found: QmailMessage, id: number, arriving: Arriving): QueuedMessage {
  const { bytes, sender } = found
  const uid = arriving.uidOf(found.invoker)
  const rest = found.kind === 'queued' ? queued(found, arriving) : routed(found, arriving)
  return { id, sender, uid, bytes, inFile: false, params: noParams, held: false, ...rest }
}

type Progress = Pick<QueuedMessage, 'bornMs' | 'due' | 'recipients'>

function queued({ recipients: addresses }: QmailQueued, { nowMs, tables }: Arriving): Progress {
  const recipients = addresses.map((original) => {
    return { ...routeRecipient(original, tables), original, ...untried }
  })
  const dueOn = (channel: Channel): number | undefined =>
    recipients.some((recipient) => recipient.channel === channel) ? nowMs : undefined
  // A message without recipients ends with an empty local pass.
  const due = { local: recipients.length === 0 ? nowMs : dueOn('local'), remote: dueOn('remote') }
  return { bornMs: nowMs, due, recipients }
}

function routed(found: QmailRouted, { aheadMs, nowMs, tables }: Arriving): Progress {
  const bornMs = found.bornMs + aheadMs
  const failures = new Failures(found.bounce, bornMs)
  const recipients: QueuedRecipient[] = channels.flatMap((channel) =>
    (found[channel]?.recipients ?? []).map(({ isDone, address }) => {
      const prependBytes = prependBytesOf(address, tables.virtualdomains)
      const known = { channel, address, original: address, prependBytes }
      if (!isDone) return { ...known, ...untried }
      const failure = failures.take(address, prependBytes)
      return { ...known, ...(failure ?? { params: noParams, state: 'done', last: takenOver, lastMs: nowMs }) }
    }),
  )
  const due = {
    local: found.local && found.local.dueMs + aheadMs,
    remote: found.remote && found.remote.dueMs + aheadMs,
  }
  // The other failed recipients: qmail has removed their channel's file, since all in it are done.
  const channel = due.remote === undefined ? 'remote' : 'local'
  for (const { address, failure } of failures.rest())
    recipients.push({ channel, address, original: address, prependBytes: 0, ...failure })
  // Nothing is left to deliver: an empty pass ends the message, and sends its bounce if there is one.
  if (due.local === undefined && due.remote === undefined) due.local = nowMs
  return { bornMs, due, recipients }
}

interface Failed {
  readonly params: typeof noParams
  readonly state: 'failed'
  readonly last: Status
  readonly lastMs: number
}

/** The failed recipients of a bounce file; each is found once. */
class Failures {
  private readonly byShown = new Map<ByteString, Failed[]>()

  constructor(bounce: ByteString, bornMs: number) {
    for (const [index, { shown, report }] of parseBounceTexts(bounce).entries()) {
      // The bounce lists them in the order in which they failed.
      const lastMs = bornMs + 1 + index
      const failure: Failed = { params: noParams, state: 'failed', last: plainFailure(5, '0.0', report, ''), lastMs }
      const known = this.byShown.get(shown)
      if (known === undefined) this.byShown.set(shown, [failure])
      else known.push(failure)
    }
  }

  /** By either form of the address: the control files at the time of the failure decided which prepend was left out. */
  take(address: ByteString, prependBytes: number): Failed | undefined {
    const whole = address.replaceAll('\n', '_')
    return this.byShown.get(whole.slice(prependBytes))?.shift() ?? this.byShown.get(whole)?.shift()
  }

  rest(): { address: ByteString; failure: Failed }[] {
    return [...this.byShown].flatMap(([address, failures]) => failures.map((failure) => ({ address, failure })))
  }
}

const untried = { params: noParams, state: 'waiting', last: undefined, lastMs: 0 } as const

/** The status of a delivery of qmail's, whose queue does not keep the other side's reply. */
const takenOver: Status = delivered('')
