/** What CAPA says (RFC 2449 §5), before login and after. */
import { endOfListing, okReply } from './replies.ts'

/** In both states. AUTH-RESP-CODE: RFC 3206. UTF8: RFC 6856, content goes out as it is stored, with or without it. */
const always: readonly string[] = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'UTF8']

export interface OfferBeforeLogin {
  readonly startTls: boolean
  /** USER and PASS are taken now. */
  readonly user: boolean
  /** SASL mechanisms that are taken now (RFC 5034 §3). */
  readonly mechanisms: readonly string[]
}

/** Undefined: after login. `more`: lines of the site, as control/pop3capabilities has them; what is said already is not
 *  said twice. */
export function formatCapabilities(offer: OfferBeforeLogin | undefined, more: readonly string[] = []): string {
  const lines: string[] = []
  if (offer?.startTls === true) lines.push('STLS')
  if (offer?.user === true) lines.push('USER')
  if (offer !== undefined && offer.mechanisms.length > 0) lines.push(`SASL ${offer.mechanisms.join(' ')}`)
  const said = new Set([...lines, ...always, ...more])
  return `${okReply}${[...said].map((line) => `${line}\r\n`).join('')}${endOfListing}`
}
