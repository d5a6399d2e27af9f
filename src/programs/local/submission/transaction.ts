/** Sender and recipients between MAIL and DATA: read as qmail-smtpd reads them, then completed by the rewriting rules.
 *  Never:  asks whether anybody may send as the sender, or whether a recipient exists: a submission goes anywhere. */
import type { ByteString } from '../../../base/byte-string.ts'
import { isAddress, noParams, type Params } from '../../../contracts/envelope.ts'
import { type Instruction, rewriteAddress } from '../../../protocols/ofmip/rewriting.ts'
import type { SenderRule } from '../../../protocols/ofmip/sender-rules.ts'
import { parseAddress, type ParsedAddress, smtpAddressBytesMax } from '../../../protocols/smtp/address.ts'
import { replies, type Reply } from '../../../protocols/smtp/replies.ts'
import { mailParameters } from '../../../servers/smtp/mail-parameters.ts'

/** RFC 4954 §5: it tells us nothing that we would believe. */
const ignored: ReadonlySet<string> = new Set(['AUTH'])

export interface Transaction {
  readonly sender: ByteString
  /** Whom the person's own rules put in From. */
  readonly author: SenderRule | undefined
  readonly params: Params
  readonly recipients: ByteString[]
}

export interface ReadSender {
  readonly address: ByteString
  readonly params: Params
}

/** From the argument of MAIL. `databytes` of 0: no limit. `extended`: parameters count. */
export function readSender(
  argument: ByteString,
  rewriting: readonly Instruction[],
  databytes: number,
  extended: boolean,
): ReadSender | Reply {
  const read = readAddress(argument, rewriting)
  if ('code' in read) return read
  const params = extended ? mailParameters(read.rest, databytes, ignored) : noParams
  return 'code' in params ? params : { address: read.address, params }
}

/** From the argument of RCPT. */
export function readRecipient(
  argument: ByteString,
  rewriting: readonly Instruction[],
  extended: boolean,
): ByteString | Reply {
  const read = readAddress(argument, rewriting)
  if ('code' in read) return read
  if (extended && read.rest.trim() !== '') return replies.unknownParameter
  return read.address === '' ? replies.syntax : read.address
}

function readAddress(argument: ByteString, rewriting: readonly Instruction[]): ParsedAddress | Reply {
  const { address, rest } = parseAddress(argument)
  if (address.includes('\t')) return replies.controlInAddress
  const rewritten = rewriteAddress(address, rewriting)
  return rewritten.length <= smtpAddressBytesMax && isAddress(rewritten) ? { address: rewritten, rest } : replies.syntax
}
