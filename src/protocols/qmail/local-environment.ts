/** The lines that a delivery puts on top of a message, and the variables that its programs see (qmail-command(8)).
 *  Every value comes from an envelope, that is from strangers: it is data, never part of a command. */
import type { ByteString } from '../../base/byte-string.ts'
import { mboxDate } from './date.ts'
import { quoteAddress } from './quote.ts'

/** The user who gets the mail, as lspawn told. */
export interface LocalRecipient {
  readonly user: ByteString
  readonly home: ByteString
  readonly local: ByteString
  readonly ext: ByteString
  readonly domain: ByteString
}

export interface DeliveryLines {
  /** `Delivered-To: …`, `Return-Path: …` and `From … date`, each with its LF. */
  readonly deliveredTo: ByteString
  readonly returnPath: ByteString
  readonly from: ByteString
}

export function deliveryLines(recipient: LocalRecipient, sender: ByteString, now: number): DeliveryLines {
  const fromSender = sender === '' ? 'MAILER-DAEMON' : sender.replace(/[ \t\n]/g, '-')
  return {
    deliveredTo: `Delivered-To: ${`${recipient.local}@${recipient.domain}`.replaceAll('\n', '_')}\n`,
    returnPath: `Return-Path: <${quoteAddress(sender).replaceAll('\n', '_')}>\n`,
    from: `From ${fromSender} ${mboxDate(now)}\n`,
  }
}

/** What is added to the environment of a `.qmail` program. `tail` is DEFAULT. */
export function localEnvironment(
  recipient: LocalRecipient,
  sender: ByteString,
  newSender: ByteString,
  lines: DeliveryLines,
  tail: ByteString | undefined,
): Map<string, ByteString> {
  const { user, home, local, ext, domain } = recipient
  const ext2 = afterDash(ext)
  const ext3 = afterDash(ext2)
  const host2 = withoutLastLabel(domain)
  const host3 = withoutLastLabel(host2)
  const environment = new Map([
    ['HOST', domain],
    ['HOME', home],
    ['USER', user],
    ['LOCAL', local],
    ['RECIPIENT', `${local}@${domain}`],
    ['DTLINE', lines.deliveredTo],
    ['SENDER', sender],
    ['RPLINE', lines.returnPath],
    ['UFLINE', lines.from],
    ['EXT', ext],
    ['EXT2', ext2],
    ['EXT3', ext3],
    ['EXT4', afterDash(ext3)],
    ['HOST2', host2],
    ['HOST3', host3],
    ['HOST4', withoutLastLabel(host3)],
    ['NEWSENDER', newSender],
  ])
  if (tail !== undefined) environment.set('DEFAULT', tail)
  return environment
}

function afterDash(ext: ByteString): ByteString {
  const dash = ext.indexOf('-')
  return dash < 0 ? '' : ext.slice(dash + 1)
}

function withoutLastLabel(domain: ByteString): ByteString {
  const dot = domain.lastIndexOf('.')
  return dot < 0 ? domain : domain.slice(0, dot)
}
