/** The texts about an SPF result: comment, Received-SPF field (RFC 7208 §9.1, in libspf2's form), and what a refused
 *  client is told. Whatever came from outside is made printable and short: the field stays one line below 998 bytes.
 *  Knows:  words. Never: how a result is found, or what follows from it. */
import type { ByteString } from '../../base/byte-string.ts'

/** RFC 7208 §2.6. */
export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror'

export interface SpfSubject {
  readonly result: SpfResult
  /** Our name. */
  readonly receiver: ByteString
  readonly ip: string
  /** Empty: HELO was checked, as `postmaster@` it (RFC 7208 §2.4). */
  readonly sender: ByteString
  readonly helo: ByteString
}

/** Of an address or a name that is shown. */
const shownBytesMax = 256
const explanationBytesMax = 300

export function receivedSpf(subject: SpfSubject): ByteString {
  const comment = inComment(`${shown(subject.receiver)}: ${spfComment(subject)}`)
  const pairs = [
    `client-ip=${subject.ip};`,
    `envelope-from=${value(checkedSender(subject))};`,
    ...(subject.helo === '' ? [] : [`helo=${value(subject.helo)};`]),
  ]
  return `Received-SPF: ${subject.result} (${comment}) ${pairs.join(' ')}`
}

export function spfComment({ result, ip, ...identity }: Omit<SpfSubject, 'receiver'>): ByteString {
  const who = shown(checkedSender(identity))
  switch (result) {
    case 'pass':
      return `domain of ${who} designates ${ip} as permitted sender`
    case 'fail':
      return `domain of ${who} does not designate ${ip} as permitted sender`
    case 'softfail':
      return `transitioning domain of ${who} does not designate ${ip} as permitted sender`
    case 'neutral':
      return `${ip} is neither permitted nor denied by domain of ${who}`
    case 'none':
      return `domain of ${who} does not provide an SPF record`
    case 'temperror':
    case 'permerror':
      return `error in processing during lookup of ${who}`
  }
}

/** One printable line for a reply. `published` is what the domain's own `exp=` says, if it says anything: a stranger's
 *  words, and shown as such (RFC 7208 §6.2). */
export function spfExplanation(subject: Omit<SpfSubject, 'receiver'>, published: string | undefined): ByteString {
  const words = published?.replace(/[^ -~]/g, '?').trim() ?? ''
  if (words === '') return spfComment(subject).replace(/[^ -~]/g, '?')
  const sender = checkedSender(subject)
  const domain = shown(sender.slice(sender.lastIndexOf('@') + 1)).replace(/[^ -~]/g, '?')
  return `${domain} explains: ${words}`.slice(0, explanationBytesMax)
}

function checkedSender({ sender, helo }: Pick<SpfSubject, 'sender' | 'helo'>): ByteString {
  return sender === '' ? `postmaster@${helo}` : sender
}

/** Printable ASCII and bytes from 128 up (an SMTPUTF8 address) stay as they are. */
function shown(text: ByteString): ByteString {
  const printable = text.replace(/[^ -~\x80-\xff]/g, '?')
  return printable.length <= shownBytesMax ? printable : `${printable.slice(0, shownBytesMax)}...`
}

function inComment(text: ByteString): ByteString {
  return text.replace(/[()\\]/g, '\\$&')
}

/** dot-atom as it is, addresses too; anything else as a quoted string. */
function value(text: ByteString): ByteString {
  const printable = shown(text)
  if (/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@\x80-\xff-]+$/.test(printable)) return printable
  return `"${printable.replace(/["\\]/g, '\\$&')}"`
}
