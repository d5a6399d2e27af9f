/** Which relay a message takes: senderroutes (by sender), then smtproutes (by the recipient's domain).
 *  A relay is `host`, `host:port`, `1.2.3.4:port`, `[1.2.3.4]:port` or `[v6]:port`; an empty relay means: use the MX. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { domainKeys } from './control-format.ts'

export interface Relay {
  /** A name or an address, without brackets. */
  readonly host: ByteString
  readonly port: number
}

export const smtpPort = 25
export const smtpsPort = 465

type Routes = ReadonlyMap<ByteString, ByteString> | undefined
export type Route =
  | { readonly kind: 'relay'; readonly relay: Relay }
  | { readonly kind: 'exchangers' }
  /** The admin wrote something that is no relay: the message waits rather than take another way. */
  | { readonly kind: 'unreadable'; readonly text: ByteString }

export function chooseRoute(
  sender: ByteString,
  domain: ByteString,
  tables: { readonly senderroutes: Routes; readonly smtproutes: Routes },
): Route {
  const text = bySender(sender, tables.senderroutes) ?? byDomain(domain, tables.smtproutes) ?? ''
  if (text === '') return { kind: 'exchangers' }
  const relay = parseRelay(text)
  return relay === undefined ? { kind: 'unreadable', text } : { kind: 'relay', relay }
}

/** Undefined: not a relay. */
export function parseRelay(text: ByteString): Relay | undefined {
  let host = text
  let port = ''
  if (text.startsWith('[')) {
    const close = text.indexOf(']')
    if (close < 0 || (close + 1 < text.length && text[close + 1] !== ':')) return undefined
    host = text.slice(1, close)
    port = text.slice(close + 2)
  } else if (text.includes(':')) {
    host = text.slice(0, text.indexOf(':'))
    port = text.slice(text.indexOf(':') + 1)
  }
  const number = port === '' ? smtpPort : /^[0-9]{1,5}$/.test(port) ? Number(port) : 0
  if (host === '' || number < 1 || number > 65_535) return undefined
  return { host: lowerAscii(host), port: number }
}

/** The whole address first, then its domain; `@host` is the key for a domain. */
function bySender(sender: ByteString, routes: Routes): ByteString | undefined {
  if (routes === undefined || sender === '') return undefined
  const address = lowerAscii(sender)
  return routes.get(address) ?? routes.get(address.slice(address.lastIndexOf('@')))
}

/** The first key that exists decides, even if its relay is empty. */
function byDomain(domain: ByteString, routes: Routes): ByteString | undefined {
  if (routes === undefined) return undefined
  for (const key of domainKeys(domain)) {
    const found = routes.get(key)
    if (found !== undefined) return found
  }
  return undefined
}
