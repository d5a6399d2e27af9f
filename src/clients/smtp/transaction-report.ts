/** A transaction in qmail-remote's words: a report for each recipient that was answered, in order, and one for the
 *  message. */
import type { ByteString } from '../../base/byte-string.ts'
import { remoteTexts } from '../../protocols/qmail/remote-texts.ts'
import { refusedFrom } from '../../protocols/smtp/refusal.ts'
import type { Reply } from '../../protocols/smtp/reply-parser.ts'
import type { TransactionEnd, TransactionResult } from './transaction.ts'

export interface RemoteOutput {
  readonly recipients: readonly ByteString[]
  readonly message: ByteString
}

export function reportTransaction(host: string, { recipients, end }: TransactionResult): RemoteOutput {
  return { recipients: recipients.map((reply) => reportRecipient(host, reply)), message: reportEnd(host, end) }
}

function reportRecipient(host: string, reply: Reply): ByteString {
  return reply.code < refusedFrom ? 'r' : remoteTexts.recipientRejected(host, reply.code, reply.text)
}

function reportEnd(host: string, end: TransactionEnd): ByteString {
  switch (end.kind) {
    case 'accepted':
      return remoteTexts.accepted(host, end.reply.text)
    case 'refused':
      return reportRefusal(host, end)
    case 'noRecipient':
      return remoteTexts.givingUp(host)
    case 'unanswered':
      return end.reply === undefined
        ? remoteTexts.died(host)
        : remoteTexts.senderRejected(host, end.reply.code, end.reply.text)
    case 'outOfStep':
      return remoteTexts.died(host)
    case 'died':
      return end.afterDot ? remoteTexts.diedAfterDot(host) : remoteTexts.died(host)
    case 'unsendable': {
      const text = remoteTexts[end.why]
      return typeof text === 'string' ? text : text(host)
    }
  }
}

function reportRefusal(host: string, { command, reply }: Extract<TransactionEnd, { kind: 'refused' }>): ByteString {
  if (command === 'MAIL') return remoteTexts.senderRejected(host, reply.code, reply.text)
  if (command === 'DATA') return remoteTexts.dataRejected(host, reply.code, reply.text)
  return remoteTexts.contentRejected(host, reply.code, reply.text)
}
