/** Which refusals are no last word: those that may only mean how many recipients we name in one transaction, or how long
 *  we use one connection (RFC 5321 §4.5.3.1.10).
 *  Knows:  who is asked again, and how many together at most. Never: asks. */
import type { ForNow } from '../../clients/smtp/transaction-report.ts'
import type { TransactionResult } from '../../clients/smtp/transaction.ts'
import { blamesOurUse, closingCode, mayBlameOurUse, refusedFrom } from '../../protocols/smtp/refusal.ts'
import type { Reply } from '../../protocols/smtp/reply-parser.ts'

export interface Further {
  /** Places in the transaction of those who are asked again. */
  readonly again: readonly number[]
  /** Recipients in the next transaction at most; never 0. */
  readonly size: number
}

/** Each next transaction is smaller, or has fewer left to ask: there is an end. `asked`: how many recipients it had. */
export function groupAfter({ recipients, end }: TransactionResult, asked: number): Further {
  const accepted = placesOf(recipients, isAccepted)
  const surplus = surplusOf(recipients)
  const size = Math.max(1, accepted.length)
  if (end.kind === 'accepted') {
    // It may have taken only the first few, or only those of one kind: as many again, and more where all went well.
    return { again: surplus, size: surplus.length > 0 ? size : 2 * asked }
  }
  // It took some and closed the connection on the next: with as many it may go on to the end.
  if (end.kind === 'died' && accepted.length > 0 && recipients.at(-1)?.code === closingCode)
    return { again: Array.from({ length: asked }, (_, at) => at), size }
  // It takes back even those whom it had accepted.
  if (end.kind === 'refused' && blamesOurUse(end.reply) && accepted.length + surplus.length > 1)
    return { again: [...accepted, ...surplus], size: surplus.length > 0 ? size : Math.ceil(size / 2) }
  return { again: [], size: asked }
}

/** For the report, whatever comes of asking again: a refusal of the surplus is for now only, whatever its code. */
export function forNow({ recipients }: TransactionResult, again: readonly number[]): ForNow {
  return { recipients: surplusOf(recipients), end: again.length > 0 }
}

/** On a connection that was used before: it may have had enough of the connection. Unlike a recipient, a sender or a
 *  message is seldom refused, so that a fresh connection is worth asking whatever the code. */
export function isProvokedByUse({ recipients, end }: TransactionResult): boolean {
  if (end.kind === 'unanswered' || end.kind === 'outOfStep') return true
  if (end.kind === 'refused') return end.command !== 'content' || blamesOurUse(end.reply)
  if (end.kind !== 'noRecipient' && end.kind !== 'died') return false
  const isUnheard = recipients.length === 0
  return isUnheard || (!recipients.some(isAccepted) && recipients.some(mayBlameOurUse))
}

/** The server closed before it judged the message or anybody (RFC 5321 §3.8): another address may take it. */
export function isUnchecked({ recipients, end }: TransactionResult): boolean {
  if (end.kind === 'unanswered') return true
  return end.kind === 'died' && recipients.length === 1 && recipients[0]?.code === closingCode
}

/** Recipients that may have been refused only because of those before them. */
function surplusOf(recipients: readonly Reply[]): number[] {
  return recipients.some(isAccepted) ? placesOf(recipients, mayBlameOurUse) : []
}

function placesOf(recipients: readonly Reply[], which: (reply: Reply) => boolean): number[] {
  return recipients.flatMap((reply, at) => (which(reply) ? [at] : []))
}

function isAccepted(reply: Reply): boolean {
  return reply.code < refusedFrom
}
