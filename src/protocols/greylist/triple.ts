/** greylisting-spp: what is remembered of (network, sender, recipient), and what follows from it.
 *  Knows:  the rule. Never: a clock or a store; times come in as milliseconds since 1970. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { parseIp, prefixKey } from '../qmail/ip-key.ts'

export interface GreylistTimes {
  /** A new triple is refused for so long. */
  readonly minRejectSeconds: number
  /** A triple that comes back later than this after the first time is new again. */
  readonly maxWaitSeconds: number
  /** A triple that was accepted stays known for so long after the last time. */
  readonly acceptGoodSeconds: number
}

export interface Remembered {
  readonly firstMs: number
  /** Was it ever accepted? */
  readonly good: boolean
  /** Forgotten then. */
  readonly expiresMs: number
}

export interface Evaluation {
  readonly state: 'new' | 'young' | 'known'
  readonly remembered: Remembered
  /** When it would be accepted, or until when it stays known. */
  readonly untilMs: number
}

export function evaluate(before: Remembered | undefined, nowMs: number, times: GreylistTimes): Evaluation {
  const minReject = 1000 * times.minRejectSeconds
  const maxWait = 1000 * Math.max(times.maxWaitSeconds, times.minRejectSeconds)
  // A first time in the future: the clock was set back. Without this a sender might wait for as long as it was ahead; a
  // triple that was accepted stays known.
  const usable = before !== undefined && before.expiresMs > nowMs && (before.good || before.firstMs <= nowMs)
  if (!usable) return refused('new', nowMs, nowMs, minReject, maxWait)
  const firstMs = Math.min(before.firstMs, nowMs)
  const age = nowMs - firstMs
  if (!before.good && age < minReject) return refused('young', firstMs, nowMs, minReject, maxWait)
  if (!before.good && age > maxWait) return refused('new', nowMs, nowMs, minReject, maxWait)
  const expiresMs = nowMs + 1000 * times.acceptGoodSeconds
  return { state: 'known', remembered: { firstMs, good: true, expiresMs }, untilMs: expiresMs }
}

function refused(
  state: 'new' | 'young',
  firstMs: number,
  nowMs: number,
  minReject: number,
  maxWait: number,
): Evaluation {
  const untilMs = firstMs + minReject
  // One that may be accepted from `until` on must still be there then.
  return { state, remembered: { firstMs, good: false, expiresMs: Math.max(firstMs + maxWait, nowMs) + 1 }, untilMs }
}

/** Every message of an ezmlm list has another sender: `list-return-NUMBER-subscriber=host@…`. Without the number they are
 *  the same triple. Case does not count. */
export function greylistSender(sender: ByteString): ByteString {
  return lowerAscii(sender).replace(/-return-[0-9]{1,20}-/, '-return--')
}

/** A client with a pool of hosts may try each time from another: the pool counts, an IPv4 /24 or an IPv6 /64. What is no
 *  address stands for itself. */
export function greylistClient(ip: string): string {
  const address = parseIp(ip)
  if (address === undefined) return ip
  const bits = address.kind() === 'ipv4' ? 24 : 64
  return prefixKey(address.toByteArray(), bits)
}

export function greylistRecipient(recipient: ByteString): ByteString {
  return lowerAscii(recipient)
}

const logWords = { new: 'Rejecting new', young: 'Rejecting young', known: 'Accepting known' } as const

/** As greylisting-spp logs it. */
export function greylistLine(
  state: 'new' | 'young' | 'known',
  ip: string,
  sender: ByteString,
  recipient: ByteString,
): ByteString {
  return `${logWords[state]} triple (${[ip, sender, recipient].map(printable).join(',')})`
}

function printable(text: ByteString): ByteString {
  return text.replace(/[^ -~\x80-\xff]/g, '?')
}
