/** Which rule decides about a peer: the first key that the cdb holds, in tcpserver's order:
 *  info@ip, info@=host, ip, =host, prefixes of the ip, networks, =.suffixes of the host, `=` (any host name), the empty key.
 *  Prefixes, networks and suffixes are tried longest first. No key at all: the peer is allowed, as in tcpserver.
 *  Never:  reads a file; `get` of `ruleBase` gives the cdb's data. */
import type ipaddr from 'ipaddr.js'
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { networkMark, parseIp, prefixKey } from './ip-key.ts'
import { decodeInstructions, type Instructions } from './tcprules.ts'

export interface RulePeer {
  readonly ip: string
  /** Undefined: no name is known. */
  readonly host?: ByteString | undefined
  readonly info?: ByteString | undefined
}

/** Lengths of the networks that a cdb has rules for, longest first. */
export interface NetworkLengths {
  readonly ipv4: readonly number[]
  readonly ipv6: readonly number[]
}

interface FoundRule {
  readonly key: ByteString
  readonly data: ByteString
}

export interface RuleBase {
  /** With the key as the rule has it: names of hosts have no case. */
  find(key: ByteString): FoundRule | undefined
  readonly networks: NetworkLengths
  /** There are rules for names of hosts. */
  readonly goesByName: boolean
}

export interface RuleDecision extends Instructions {
  /** Undefined: no rule; allowed. */
  readonly key: ByteString | undefined
}

export function decideByRules(base: RuleBase, peer: RulePeer): RuleDecision {
  for (const key of ruleKeys(peer, base.networks)) {
    const found = base.find(key)
    if (found !== undefined) return { key: found.key, ...decodeInstructions(found.data) }
  }
  return { key: undefined, verdict: 'allow', variables: [] }
}

/** `keys`: all of them; `get` says what each stands for. */
export function ruleBase(keys: Iterable<ByteString>, get: (key: ByteString) => ByteString | undefined): RuleBase {
  const ipv4 = new Set<number>()
  const ipv6 = new Set<number>()
  let goesByName = false
  const capitals = new Map<ByteString, ByteString>()
  for (const key of keys) {
    if (key.startsWith(networkMark[4])) ipv4.add(key.length - 1)
    if (key.startsWith(networkMark[6])) ipv6.add(key.length - 1)
    const host = key.startsWith('=') ? 0 : key.lastIndexOf('@=')
    if (host < 0) continue
    goesByName = true
    const folded = key.slice(0, host) + lowerAscii(key.slice(host))
    if (folded !== key && !capitals.has(folded)) capitals.set(folded, key)
  }
  const longestFirst = (a: number, b: number): number => b - a
  const networks = { ipv4: [...ipv4].sort(longestFirst), ipv6: [...ipv6].sort(longestFirst) }
  const asWritten = (key: ByteString): FoundRule | undefined => {
    const data = get(key)
    return data === undefined ? undefined : { key, data }
  }
  const find = (key: ByteString): FoundRule | undefined => {
    const written = capitals.get(key)
    return asWritten(key) ?? (written === undefined ? undefined : asWritten(written))
  }
  return { find, networks, goesByName }
}

export function* ruleKeys({ ip, host: name, info }: RulePeer, networks: NetworkLengths): Generator<ByteString> {
  const host = name === undefined ? undefined : lowerAscii(name)
  const address = parseIp(ip)
  const spellings = address === undefined ? [ip] : spellingsOf(address)
  if (info !== undefined) {
    for (const spelling of spellings) yield `${info}@${spelling}`
    if (host !== undefined) yield `${info}@=${host}`
  }
  yield* spellings
  if (host !== undefined) yield `=${host}`
  if (address !== undefined) {
    yield* prefixes(address, spellings)
    const bytes = address.toByteArray()
    for (const length of bytes.length === 4 ? networks.ipv4 : networks.ipv6) {
      if (length <= bytes.length * 8) yield prefixKey(bytes, length)
    }
  }
  if (host !== undefined) {
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) yield `=${host.slice(dot)}`
    yield '='
  }
  yield ''
}

/** ucspi-tcp6 writes an IPv6 address with all its digits, ucspi-tcp with IPv6 patches in its short form. */
function spellingsOf(address: ipaddr.IPv4 | ipaddr.IPv6): readonly string[] {
  if (!isIpv6(address)) return [address.toString()]
  const padded = address.parts.map((part) => part.toString(16).padStart(4, '0')).join(':')
  return [address.toRFC5952String(), padded]
}

function* prefixes(address: ipaddr.IPv4 | ipaddr.IPv6, spellings: readonly string[]): Generator<string> {
  const [text = '', padded = ''] = spellings
  if (!isIpv6(address)) {
    yield* prefixesOf(text, '.')
    return
  }
  // A prefix with `::` in it can only be meant for the short form.
  for (const prefix of prefixesOf(text, ':')) if (prefix.includes('::')) yield prefix
  const groups = address.parts.map((part) => part.toString(16))
  const whole = [...prefixesOf(groups.join(':'), ':')]
  const wholePadded = [...prefixesOf(padded, ':')]
  for (const [at, prefix] of whole.entries()) {
    yield prefix
    const other = wholePadded[at]
    if (other !== undefined && other !== prefix) yield other
  }
}

/** Each ends in the separator; longest first. */
function* prefixesOf(text: string, separator: string): Generator<string> {
  for (let end = text.lastIndexOf(separator); end > 0; end = text.lastIndexOf(separator, end - 1))
    yield text.slice(0, end + 1)
}

function isIpv6(address: ipaddr.IPv4 | ipaddr.IPv6): address is ipaddr.IPv6 {
  return address.kind() === 'ipv6'
}
