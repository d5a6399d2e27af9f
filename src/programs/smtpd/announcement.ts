/** XCLIENT in a session: a listed peer says who the client behind it is. */
import type { ByteString } from '../../base/byte-string.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import { parseXclient } from '../../protocols/smtp/xclient.ts'
import type { Announce, Announced } from './session-setting.ts'

export type Announcement =
  | { readonly kind: 'begin'; readonly announced: Announced; readonly helo: ByteString }
  | { readonly kind: 'refuse'; readonly reply: Reply; readonly check: string }
  | { readonly kind: 'close'; readonly reply: Reply; readonly check: string }

export function readAnnouncement(argument: ByteString, announce: Announce): Announcement {
  const parsed = parseXclient(argument)
  if (!parsed.ok) return { kind: 'refuse', reply: replies.syntaxParameter, check: `xclient ${parsed.reason}` }
  const announced = announce(parsed.values)
  if (announced === 'denied') return { kind: 'close', reply: replies.denied, check: 'xclient denied' }
  return { kind: 'begin', announced, helo: parsed.values.get('HELO') ?? '' }
}
