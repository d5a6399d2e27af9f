/** What a session tells its gate about the command at hand. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Facts } from './gate.ts'
import type { Candidate, Transaction } from './transaction.ts'

export interface Subject {
  readonly transaction?: Transaction
  /** At RCPT. */
  readonly candidate?: Candidate
}

export function factsOf(helo: ByteString, { transaction, candidate }: Subject): Facts {
  return {
    helo,
    sender: transaction?.sender ?? '',
    recipient: candidate?.recipient ?? '',
    counts: { accepted: transaction?.recipients.length ?? 0, asked: transaction?.recipientsAsked ?? 0 },
    recipientAllowed: candidate?.allowed ?? false,
  }
}
