/** What qmail-inject makes of an address that a person or a script wrote: it gets the host that is missing. */
import type { ByteString } from '../../base/byte-string.ts'
import { quoteAddress } from '../qmail/quote.ts'
import { addressText, parseTokens, special, type Token } from './tokens.ts'

/** As control/defaulthost, defaultdomain and plusdomain say, or the variables that stand for them. */
export interface InjectHosts {
  readonly defaulthost: ByteString
  readonly defaultdomain: ByteString
  readonly plusdomain: ByteString
}

export function rewriteTokens(address: readonly Token[], hosts: InjectHosts): readonly Token[] {
  const [last, beforeLast] = [address.at(-1), address.at(-2)]
  // foo@[]
  if (last?.kind === 'literal' && last.text === '' && beforeLast?.kind === '@') return address
  const bare = withoutLast(withoutLast(withoutRoute(address), '.'), '@')
  if (bare.length === 0) return bare
  const full = bare.some(({ kind }) => kind === '@') ? bare : [...bare, special('@'), ...wordsOf(hosts.defaulthost)]
  return withDomain(withPlus(full, hosts), hosts)
}

/** RFC 822 §6.2.7: `@relay:joe@host`. */
function withoutRoute(address: readonly Token[]): readonly Token[] {
  if (address[0]?.kind !== '@') return address
  const colon = address.findIndex(({ kind }) => kind === ':')
  return colon < 0 ? [] : address.slice(colon + 1)
}

function withoutLast(address: readonly Token[], kind: Token['kind']): readonly Token[] {
  return address.at(-1)?.kind === kind ? address.slice(0, -1) : address
}

function withPlus(address: readonly Token[], { plusdomain }: InjectHosts): readonly Token[] {
  const last = address.at(-1)
  if (last?.kind !== 'atom' || !last.text.endsWith('+')) return address
  return [...address.slice(0, -1), { ...last, text: last.text.slice(0, -1) }, special('.'), ...wordsOf(plusdomain)]
}

function withDomain(address: readonly Token[], { defaultdomain }: InjectHosts): readonly Token[] {
  const host = address.slice(address.findLastIndex(({ kind }) => kind === '@') + 1)
  if (host.some(({ kind }) => kind === '.' || kind === 'literal')) return address
  return [...address, special('.'), ...wordsOf(defaultdomain)]
}

/** Of a host; one that is no host stays one word. */
function wordsOf(host: ByteString): readonly Token[] {
  return parseTokens(host) ?? [{ kind: 'atom', text: host }]
}

/** Of an argument: an address as an envelope has it, to be completed. Undefined: it cannot be taken apart. */
export function rewriteArgument(address: ByteString, hosts: InjectHosts): ByteString | undefined {
  const tokens = parseTokens(quoteAddress(address))
  return tokens && addressText(rewriteTokens(tokens, hosts))
}
