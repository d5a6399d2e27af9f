/** Where a recipient goes, decided once, when the message is accepted: envnoathost, percenthack, localiphost, locals,
 *  virtualdomains.
 *  Lookups fold ASCII case; the address keeps its own. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { addressLiteral } from '../smtp/address.ts'
import { domainKeys } from './control-format.ts'

export interface RoutingTables {
  readonly envnoathost: ByteString
  /** In lower case. */
  readonly percenthack: ReadonlySet<ByteString>
  /** In lower case. */
  readonly locals: ReadonlySet<ByteString>
  /** Keys in lower case, as control-format's maps have them. */
  readonly virtualdomains: ReadonlyMap<ByteString, ByteString>
  /** What stands for `[an address of ours]`. Absent: such a literal is a host like any other. */
  readonly localIpHost?: OwnLiteral
}

export interface OwnLiteral {
  readonly name: ByteString
  isOurs(ip: string): boolean
}

export interface Route {
  readonly channel: 'local' | 'remote'
  readonly address: ByteString
  /** How much of the address is a virtual domain's prepend, which its sender is not shown. */
  readonly prependBytes: number
}

export function routeRecipient(recipient: ByteString, tables: RoutingTables): Route {
  const unfolded = unfoldPercents(withHost(recipient, tables.envnoathost), tables.percenthack)
  const address = localized(unfolded, tables.localIpHost)
  const { locals, virtualdomains } = tables
  const isLocal = locals.has(lowerAscii(domainOf(address)))
  const prepend = (isLocal ? undefined : prependFor(address, virtualdomains)) ?? ''
  const routed = prepend === '' ? address : `${prepend}-${address}`
  const channel = isLocal || prepend !== '' ? 'local' : 'remote'
  return { channel, address: routed, prependBytes: prependBytesOf(routed, virtualdomains) }
}

/** `user@[an address of ours]` → `user@localiphost`. */
export function localized(address: ByteString, own: OwnLiteral | undefined): ByteString {
  const literal = own === undefined ? undefined : addressLiteral(address)
  if (own === undefined || literal === undefined || !own.isOurs(literal)) return address
  return address.slice(0, address.lastIndexOf('@') + 1) + own.name
}

/** What qmail leaves out where it shows the address: only the first key that exists counts (domain, its suffixes, empty;
 *  never the full address), and only if its prepend really stands there. */
export function prependBytesOf(address: ByteString, virtualdomains: ReadonlyMap<ByteString, ByteString>): number {
  if (virtualdomains.size === 0) return 0
  for (const key of domainKeys(domainOf(address))) {
    const prepend = virtualdomains.get(key)
    if (prepend === undefined) continue
    return prepend !== '' && address.startsWith(`${prepend}-`) ? prepend.length + 1 : 0
  }
  return 0
}

/** What follows the last `@`; empty without one. */
export function domainOf(address: ByteString): ByteString {
  const at = address.lastIndexOf('@')
  return at < 0 ? '' : address.slice(at + 1)
}

/** An address without `@` has its host from envnoathost. */
export function withHost(recipient: ByteString, envnoathost: ByteString): ByteString {
  return recipient.includes('@') ? recipient : `${recipient}@${envnoathost}`
}

/** `percenthack` in lower case: `user%host@DOMAIN` of one of them is `user@host`. */
export function unfoldPercents(address: ByteString, percenthack: ReadonlySet<ByteString>): ByteString {
  let current = address
  while (percenthack.has(lowerAscii(domainOf(current)))) {
    const local = current.slice(0, current.lastIndexOf('@'))
    const percent = local.lastIndexOf('%')
    if (percent < 0) break
    current = `${local.slice(0, percent)}@${local.slice(percent + 1)}`
  }
  return current
}

function prependFor(address: ByteString, virtualdomains: ReadonlyMap<ByteString, ByteString>): ByteString | undefined {
  const exact = virtualdomains.get(lowerAscii(address))
  if (exact !== undefined) return exact
  for (const key of domainKeys(domainOf(address))) {
    const prepend = virtualdomains.get(key)
    if (prepend !== undefined) return prepend
  }
  return undefined
}
