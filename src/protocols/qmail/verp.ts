/** Variable envelope return paths: a sender `PREFIX@HOST-@[]` becomes, for each recipient, one that names it. */
import type { ByteString } from '../../base/byte-string.ts'

const verpEnd = '-@[]'

/** True where each recipient needs a sender, and so an attempt, of its own. */
export function isVerp(sender: ByteString): boolean {
  return sender.length >= verpEnd.length && sender.endsWith(verpEnd)
}

export function senderFor(sender: ByteString, recipient: ByteString): ByteString {
  if (!isVerp(sender)) return sender
  const plain = sender.slice(0, -verpEnd.length)
  const at = plain.lastIndexOf('@')
  const recipientAt = recipient.lastIndexOf('@')
  if (at < 0 || recipientAt < 0) return sender
  const named = `${recipient.slice(0, recipientAt)}=${recipient.slice(recipientAt + 1)}`
  return plain.slice(0, at) + named + plain.slice(at)
}

/** To whom a bounce goes: the sender without the VERP mark. */
export function bounceRecipient(sender: ByteString): ByteString {
  return isVerp(sender) ? sender.slice(0, -verpEnd.length) : sender
}
