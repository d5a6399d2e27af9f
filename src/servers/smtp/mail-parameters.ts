/** The extension parameters of MAIL, wherever messages are taken. */
import type { ByteString } from '../../base/byte-string.ts'
import { noParams, type Params } from '../../contracts/envelope.ts'
import { parseParameters, parseSize } from '../../protocols/smtp/command.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'

/** SIZE (RFC 1870) and BODY (RFC 6152). What travels with the message is what a next hop must know. */
export function mailParameters(
  text: ByteString,
  databytes: number,
  ignored: ReadonlySet<string> = new Set(),
): Params | Reply {
  const parameters = parseParameters(text)
  if (parameters === undefined) return replies.syntaxParameter
  const params = new Map<string, ByteString>()
  for (const [name, value] of parameters) {
    if (name === 'SIZE') {
      const size = parseSize(value)
      if (size === undefined) return replies.syntaxParameter
      if (databytes > 0 && size > databytes) return replies.tooBig
    } else if (name === 'BODY') {
      const body = value.toUpperCase()
      if (body !== '7BIT' && body !== '8BITMIME') return replies.syntaxParameter
      params.set(name, body)
    } else if (!ignored.has(name)) return replies.unknownParameter
  }
  return params.size === 0 ? noParams : params
}
