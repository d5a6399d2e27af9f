/** All names of the mailbox that an account may be. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'

/** A local account may be written with any local domain, and without a domain if the default host is local. */
export function spellings(account: ByteString, ownHost: ByteString, locals: readonly ByteString[]): ByteString[] {
  const at = account.lastIndexOf('@')
  const host = lowerAscii(ownHost)
  const own = locals.map(lowerAscii)
  const [name, domain] = at === -1 ? [account, host] : [account.slice(0, at), account.slice(at + 1)]
  const domains = own.includes(domain) ? own : [domain]
  return [...(domains.includes(host) ? [name] : []), ...domains.map((one) => `${name}@${one}`)]
}
