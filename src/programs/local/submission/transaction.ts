/** Sender and recipients between MAIL and DATA: read as qmail-smtpd reads them, then completed by the rewriting rules.
 *  Never:  asks whether anybody may send as the sender, or whether a recipient exists (service.ts). */
import type { ByteString } from '../../../base/byte-string.ts'
import { isAddress, noParams, type Params } from '../../../contracts/envelope.ts'
import { type Instruction, rewriteAddress } from '../../../protocols/submission/rewriting.ts'
import type { SenderRule } from '../../../protocols/submission/sender-rules.ts'
import { isSenderOfOurs, type ParsedAddress, readAddress } from '../../../protocols/smtp/address.ts'
import { replies, type Reply } from '../../../protocols/smtp/replies.ts'
import { mailParameters, recipientParameters } from '../../../servers/smtp/parameters.ts'

export interface Transaction {
  readonly sender: ByteString
  /** Whom the person's own rules put in From. */
  readonly author: SenderRule | undefined
  readonly params: Params
  readonly recipients: ByteString[]
  readonly recipientParams: Map<ByteString, Params>
  readonly originals: Map<ByteString, ByteString>
}

/** A sender or a recipient. */
export interface ReadAddress {
  readonly address: ByteString
  /** As it was given. */
  readonly original: ByteString
  readonly params: Params
}

/** From the argument of MAIL. `databytes` of 0: no limit. `extended`: parameters count. */
export function readSender(
  argument: ByteString,
  rewriting: readonly Instruction[],
  databytes: number,
  extended: boolean,
): ReadAddress | Reply {
  const read = readRewritten(argument, rewriting)
  if ('code' in read) return read
  if (isSenderOfOurs(read.address)) return replies.senderOfOurs
  const params = extended ? mailParameters(read.rest, databytes) : noParams
  return 'code' in params ? params : { address: read.address, original: read.original, params }
}

/** From the argument of RCPT. */
export function readRecipient(
  argument: ByteString,
  rewriting: readonly Instruction[],
  extended: boolean,
): ReadAddress | Reply {
  const read = readRewritten(argument, rewriting)
  if ('code' in read) return read
  const params = extended ? recipientParameters(read.rest) : noParams
  if ('code' in params) return params
  return read.address === '' ? replies.syntax : { address: read.address, original: read.original, params }
}

function readRewritten(
  argument: ByteString,
  rewriting: readonly Instruction[],
): (ParsedAddress & { readonly original: ByteString }) | Reply {
  let original = ''
  const read = readAddress(argument, (given) => {
    original = given
    return rewriteAddress(given, rewriting)
  })
  if ('code' in read) return read
  if (!isAddress(read.address)) return replies.syntax
  return { ...read, original: isAddress(original) ? original : read.address }
}
