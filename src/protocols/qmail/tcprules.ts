/** The rules that tcprules(1) compiles: `address:allow|deny{,VAR="value"}` a line, any character as quote.
 *  The address ends at the first colon that `allow` or `deny` follows, so IPv6 addresses and colons in values both work.
 *  Knows:  ranges, networks (CIDR), the one spelling of an IPv6 address; the data of a rule in the cdb.
 *  Fails:  lines that tcprules would refuse are named with a reason; nothing throws. */
import type { ByteString } from '../../base/byte-string.ts'
import { canonicalIpv6, ipv6Prefix, networkKey, networkMark, parseIp } from './ip-key.ts'
import { parseQuantity, quantityForms } from './quantity.ts'
import { encodingFault, writtenLines } from './written-text.ts'

export type Verdict = 'allow' | 'deny'
/** In the order of the line; the last of equal names counts. */
export type Variables = readonly (readonly [name: ByteString, value: ByteString])[]

export interface Instructions {
  readonly verdict: Verdict
  readonly variables: Variables
}

export interface Rule extends Instructions {
  /** From 1. */
  readonly line: number
  /** More than one for a range; none for an empty range. */
  readonly keys: readonly ByteString[]
}

export interface RuleFault {
  readonly line: number
  readonly text: ByteString
  readonly reason: string
}

export interface ParsedRules {
  readonly rules: readonly Rule[]
  readonly faults: readonly RuleFault[]
  /** Lines that match no peer, or do not decide what they seem to: tcprules takes them without a word. */
  readonly idle: readonly IdleLine[]
}

export interface IdleLine {
  readonly line: number
  readonly reason: string
}

const rangeMax = 255
/** `::ffff:0:0/96`: peers from there are IPv4. */
const mappedNetwork: string = `${networkMark[6]}${'0'.repeat(80)}${'1'.repeat(16)}`

class Refused {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

export function parseRules(text: ByteString): ParsedRules {
  const rules: Rule[] = []
  const faults: RuleFault[] = []
  const idle: IdleLine[] = []
  const fault = encodingFault(text)
  if (fault !== undefined) return { rules, faults: [{ line: 1, text: '', reason: fault }], idle }
  for (const [index, trimmed] of writtenLines(text).entries()) {
    const line = index + 1
    if (trimmed === '' || trimmed.startsWith('#')) continue
    if (!trimmed.includes(':')) {
      idle.push({ line, reason: 'says nothing: it has no colon' })
      continue
    }
    const rule = parseRule(line, trimmed)
    if (rule instanceof Refused) faults.push({ line, text: trimmed, reason: rule.reason })
    else {
      rules.push(rule)
      const [key] = rule.keys
      if (rule.keys.every((each) => !canMatch(each))) idle.push({ line, reason: idleReason(key) })
      for (const [name, value] of rule.variables) {
        const reason = valueFault(name, value)
        if (reason !== undefined) idle.push({ line, reason })
      }
    }
  }
  return { rules, faults, idle }
}

function parseRule(line: number, text: ByteString): Rule | Refused {
  if (text.includes('\0')) return new Refused('has a NUL byte')
  const split = /:(allow|deny)/.exec(text)
  if (split === null) return new Refused("has neither ':allow' nor ':deny'")
  const verdict = split[1] === 'deny' ? 'deny' : 'allow'
  const variables = parseVariables(text.slice(split.index + 1 + verdict.length), verdict)
  if (variables instanceof Refused) return variables
  const keys = keysOf(text.slice(0, split.index))
  return keys instanceof Refused ? keys : { line, keys, verdict, variables }
}

/** What follows `allow` or `deny`. */
function parseVariables(text: ByteString, verdict: Verdict): Variables | Refused {
  const variables: [ByteString, ByteString][] = []
  for (let at = 0; at < text.length; ) {
    if (text[at] !== ',') return new Refused(`'${verdict}', or a value, is followed by more than a comma`)
    const equals = text.indexOf('=', at)
    if (equals < 0) return new Refused('a variable has no =')
    const end = text.indexOf(text.charAt(equals + 1), equals + 2)
    if (equals + 1 >= text.length || end < 0) return new Refused('a value has no quotes, or no closing one')
    variables.push([text.slice(at + 1, equals), text.slice(equals + 2, end)])
    at = end + 1
  }
  return variables
}

/** Of variables that are numbers to us; empty is qmail's way to say none. */
function valueFault(name: ByteString, value: ByteString): string | undefined {
  const quantity = name === 'DATABYTES' ? 'bytes' : name === 'GREETDELAY' ? 'seconds' : undefined
  if (quantity === undefined || value === '' || parseQuantity(value, quantity) !== undefined) return undefined
  return `sets ${name} to what is not ${quantityForms[quantity]}, and changes nothing by it`
}

/** Host names and `info@` are taken as they stand. Brackets around an IPv6 address, as in URLs, mean nothing. */
function keysOf(written: ByteString): readonly ByteString[] | Refused {
  const address = written.replace(/(^|@)\[([0-9A-Fa-f:.]+)\]/, '$1$2')
  if (address.startsWith('=')) return [address]
  const at = address.lastIndexOf('@')
  if (at >= 0) {
    const ip = address.slice(at + 1)
    return [address.slice(0, at + 1) + (canonicalIpv6(ip) ?? ip)]
  }
  if (address.includes('/')) {
    const key = networkKey(address)
    return key === undefined ? new Refused(`'${address}' is no network`) : [key]
  }
  if (address.includes('-')) return rangeKeys(address)
  return [canonicalIpv6(address) ?? ipv6Prefix(address) ?? address]
}

/** `18.23.0.1-22`, `10.2-3.`: one number of an IPv4 address, the first that is a range. */
function rangeKeys(address: ByteString): readonly ByteString[] | Refused {
  const parts = /^((?:[^-]*\.)?)([0-9]*)-([0-9]*)((?:\..*)?)$/.exec(address)
  if (parts === null) return new Refused(`'${address}' is no range of numbers`)
  const [, before = '', first = '', last = '', after = ''] = parts
  const keys: ByteString[] = []
  for (let number = Number(first); number <= Math.min(Number(last), rangeMax); number++)
    keys.push(`${before}${number}${after}`)
  return keys
}

/** Whether a lookup ever asks for this key. */
function canMatch(key: ByteString): boolean {
  const ip = key.slice(key.lastIndexOf('@') + 1)
  if (ip === '' || ip.startsWith('=')) return true
  if (/^[_^][01]*$/.test(ip)) return !ip.startsWith(mappedNetwork)
  if (/^(?:[0-9]{1,3}\.){1,3}$/.test(ip)) return ip.split('.').every((number) => Number(number) <= 255)
  const address = parseIp(ip)
  if (address === undefined) return ip.endsWith(':') && ipv6Prefix(ip) !== undefined
  return address.kind() === 'ipv6' || address.toString() === ip
}

function idleReason(key: ByteString | undefined): string {
  if (key === undefined) return 'is a range without a number in it'
  const mapped = parseIp(key)
  const remedy =
    mapped?.kind() === 'ipv4'
      ? `write ${mapped.toString()}`
      : 'write a whole address, a prefix that ends in its dot or colon, a network as 192.0.2.0/24, or =host.name'
  return `matches nobody: ${remedy}`
}

/** `D` NUL for deny, then `+NAME=value` NUL for each variable. */
export function encodeInstructions({ verdict, variables }: Instructions): ByteString {
  const settings = variables.map(([name, value]) => `+${name}=${value}\0`)
  return (verdict === 'deny' ? 'D\0' : '') + settings.join('')
}

export function decodeInstructions(data: ByteString): Instructions {
  let verdict: Verdict = 'allow'
  const variables: [ByteString, ByteString][] = []
  for (const item of data.split('\0')) {
    if (item.startsWith('D')) verdict = 'deny'
    if (!item.startsWith('+')) continue
    const equals = item.indexOf('=')
    if (equals > 0) variables.push([item.slice(1, equals), item.slice(equals + 1)])
  }
  return { verdict, variables }
}
