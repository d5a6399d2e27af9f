/** The extension parameters of MAIL and RCPT, wherever messages are taken. */
import type { ByteString } from '../../base/byte-string.ts'
import { noParams, type Params } from '../../contracts/envelope.ts'
import { parseParameters, parseSize } from '../../protocols/smtp/command.ts'
import { dsnOfMail, dsnOfRecipient, type KnownParameters } from '../../protocols/smtp/dsn-parameters.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'

/** RFC 4954 §5: taken and ignored; we would not believe what it says. */
const mailAuth = 'AUTH'

/** SIZE (RFC 1870), BODY (RFC 6152), and those that we take but do not offer: of RFC 3461, and AUTH. Returns those that a
 *  next hop or a report must know. */
export function mailParameters(text: ByteString, databytes: number): Params | Reply {
  const parameters = parseParameters(text)
  if (parameters === undefined) return replies.syntaxParameter
  const size = parameters.get('SIZE')
  const body = parameters.get('BODY')?.toUpperCase()
  for (const name of ['SIZE', 'BODY', mailAuth]) parameters.delete(name)
  const params = keptOf(parameters, dsnOfMail)
  if (params === undefined) return replies.unknownParameter
  if (size !== undefined) {
    const bytes = parseSize(size)
    if (bytes === undefined) return replies.syntaxParameter
    if (databytes > 0 && bytes > databytes) return replies.tooBig
  }
  if (body === undefined) return params
  return body === '7BIT' || body === '8BITMIME' ? new Map(params).set('BODY', body) : replies.syntaxParameter
}

/** Those of RFC 3461. */
export function recipientParameters(text: ByteString): Params | Reply {
  const parameters = parseParameters(text)
  if (parameters === undefined) return replies.syntaxParameter
  return keptOf(parameters, dsnOfRecipient) ?? replies.unknownParameter
}

/** Undefined if one of them is not known. */
function keptOf(parameters: ReadonlyMap<string, ByteString>, known: KnownParameters): Params | undefined {
  const kept = new Map<string, ByteString>()
  for (const [name, value] of parameters) {
    const read = known.get(name)
    if (read === undefined) return undefined
    const found = read(value)
    if (found !== undefined) kept.set(name, found)
  }
  return kept.size === 0 ? noParams : kept
}
