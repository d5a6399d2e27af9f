/** Which refusals are not final: those that may only concern how many recipients we name in one transaction, or how long we use
 *  one connection (RFC 5321 §4.5.3.1.10).
 *  Knows:  which recipients are tried again, and how many together at most. Never: tries. */
import type { ForNow } from '../../clients/smtp/transaction-report.ts'
import type { TransactionResult } from '../../clients/smtp/transaction.ts'
import { blamesOurUse, closingCode, mayBlameOurUse, refusedFrom } from '../../protocols/smtp/refusal.ts'
import type { Reply } from '../../protocols/smtp/reply-parser.ts'

export interface Further {
  /** Places in the transaction of the recipients to try again. */
  readonly again: readonly number[]
  /** Recipients in the next transaction at most; never 0. */
  readonly size: number
}

/** Each next transaction is smaller, or has fewer recipients left, so there is an end. `asked`: how many recipients it had. */
export function groupAfter({ recipients, end }: TransactionResult, asked: number): Further {
  const accepted = placesOf(recipients, isAccepted)
  const surplus = surplusOf(recipients)
  const size = Math.max(1, accepted.length)
  if (end.kind === 'accepted') {
    // The host may accept only a few, or only of one kind: as many again, and more if all were accepted.
    return { again: surplus, size: surplus.length > 0 ? size : 2 * asked }
  }
  // The host accepted some and closed on the next: with that many the transaction may succeed.
  if (end.kind === 'died' && accepted.length > 0 && recipients.at(-1)?.code === closingCode)
    return { again: Array.from({ length: asked }, (_, at) => at), size }
  // The host refuses even recipients that it had accepted.
  if (end.kind === 'refused' && blamesOurUse(end.reply) && accepted.length + surplus.length > 1)
    return { again: [...accepted, ...surplus], size: surplus.length > 0 ? size : Math.ceil(size / 2) }
  return { again: [], size: asked }
}

/** For the report, whatever the next try gives: a refusal of the surplus counts as temporary, whatever its code. */
export function forNow({ recipients }: TransactionResult, again: readonly number[]): ForNow {
  return { recipients: surplusOf(recipients), end: again.length > 0 }
}

/** On a reused connection: the host may refuse more use of it. Unlike a recipient, a sender or a message is seldom refused, so
 *  a fresh connection is worth a try whatever the code. */
export function isProvokedByUse({ recipients, end }: TransactionResult): boolean {
  if (end.kind === 'unanswered' || end.kind === 'outOfStep') return true
  if (end.kind === 'refused') return end.command !== 'content' || blamesOurUse(end.reply)
  if (end.kind !== 'noRecipient' && end.kind !== 'died') return false
  const isUnheard = recipients.length === 0
  return isUnheard || (!recipients.some(isAccepted) && recipients.some(mayBlameOurUse))
}

/** The server closed before it judged the message or a recipient (RFC 5321 §3.8): another address may accept it. */
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
