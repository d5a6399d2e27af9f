/** A transaction in statuses: one for each recipient. */
import type { Status } from '../../base/outcome.ts'
import { type Host, remoteStatus, withEnd } from '../../protocols/qmail/remote-status.ts'
import { refusedFrom } from '../../protocols/smtp/refusal.ts'
import type { Reply } from '../../protocols/smtp/reply-parser.ts'
import type { TransactionEnd, TransactionResult } from './transaction.ts'

/** Refusals that are for now only, whatever their codes. */
export interface ForNow {
  /** Places in the transaction. */
  readonly recipients: readonly number[]
  readonly end: boolean
}

/** One status for each recipient that was answered; `end` for the others. */
export interface TransactionReport {
  readonly recipients: readonly Status[]
  readonly end: Status
}

export function reportTransaction(host: Host, result: TransactionResult, forNow: ForNow): TransactionReport {
  const end = reportEnd(host, result.end, forNow.end)
  const recipients = result.recipients.map((reply, at) => {
    if (reply.code < refusedFrom) return end
    const failureClass = classOf(reply, forNow.recipients.includes(at))
    return withEnd(remoteStatus.recipientRejected(host, reply, failureClass), end)
  })
  return { recipients, end }
}

function classOf(reply: Reply, isForNow: boolean): 4 | 5 {
  return reply.code >= 500 && !isForNow ? 5 : 4
}

function reportEnd(host: Host, end: TransactionEnd, isForNow: boolean): Status {
  switch (end.kind) {
    case 'accepted':
      return remoteStatus.accepted(host, end.reply)
    case 'refused':
      return refusals[end.command](host, end.reply, classOf(end.reply, isForNow))
    case 'noRecipient':
      return remoteStatus.givingUp(host)
    case 'unanswered':
      return end.reply === undefined
        ? remoteStatus.died(host)
        : remoteStatus.senderRejected(host, end.reply, classOf(end.reply, false))
    case 'outOfStep':
      return remoteStatus.died(host)
    case 'died':
      return end.afterDot ? remoteStatus.diedAfterDot(host) : remoteStatus.died(host)
    case 'unsendable':
      return remoteStatus[end.why](host)
  }
}

const refusals = {
  MAIL: remoteStatus.senderRejected,
  DATA: remoteStatus.dataRejected,
  content: remoteStatus.contentRejected,
} as const
