/** What our client says (RFC 5321 §4.1.1), each command with its CRLF. */
import type { ByteString } from '../../base/byte-string.ts'
import { quoteAddress } from '../qmail/quote.ts'
import type { Capabilities } from './capabilities.ts'

/** A message as far as MAIL and RCPT tell of it. */
export interface OutgoingEnvelope {
  readonly sender: ByteString
  readonly recipients: readonly ByteString[]
  readonly params: ReadonlyMap<string, ByteString>
  /** As it will be on the wire, or nearly: RFC 1870 §5 lets a client estimate. */
  readonly contentBytes: number
}

/** Parameters only where the server offered them: RFC 1870 (SIZE), 6152 (BODY), 6531 (SMTPUTF8), 8689 (REQUIRETLS). */
export function mailCommand(envelope: OutgoingEnvelope, offered: Capabilities): ByteString {
  let command = `MAIL FROM:<${quoteAddress(envelope.sender)}>`
  if (offered.size) command += ` SIZE=${envelope.contentBytes}`
  const body = envelope.params.get('BODY')
  if (offered.eightBitMime && (body === '8BITMIME' || body === '7BIT')) command += ` BODY=${body}`
  if (offered.smtpUtf8 && envelope.params.has('SMTPUTF8')) command += ' SMTPUTF8'
  if (offered.requireTls && envelope.params.has('REQUIRETLS')) command += ' REQUIRETLS'
  return `${command}\r\n`
}

export function recipientCommand(recipient: ByteString): ByteString {
  return `RCPT TO:<${quoteAddress(recipient)}>\r\n`
}

/** True if an address has bytes that only SMTPUTF8 may carry (RFC 6531 §3.2). */
export function hasEightBitAddress(envelope: OutgoingEnvelope): boolean {
  return [envelope.sender, ...envelope.recipients].some((address) => /[\x80-\xff]/.test(address))
}
