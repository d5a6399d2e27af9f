/** The rules of control files about senders, recipients and relaying, in the form that sessions need.
 *  Knows:  badmailfrom, rcpthosts, morercpthosts.cdb, percenthack, databytes, localiphost, relayclients and their matching.
 *  Never:  opens up by default: without rcpthosts no domain is accepted (qmail would accept all).
 *  Fails:  never; a file that cannot be read was reported by `Control` and keeps its last good value. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { NetworkList } from '../../protocols/qmail/network-list.ts'
import { localized, unfoldPercents, withHost } from '../../protocols/qmail/routing.ts'
import { bounceRecipient } from '../../protocols/qmail/verp.ts'
import { domainOf } from '../../protocols/smtp/address.ts'
import { isSrsAddress } from '../../protocols/srs/srs.ts'
import type { Control } from '../../stores/control/control.ts'
import { domainCheck, lowerSet, type MoreHosts } from '../../stores/control/rcpthosts.ts'

export interface Policy {
  readonly greeting: ByteString
  /** For the Received field and TCPLOCALHOST; undefined: no control/me. */
  readonly me: ByteString | undefined
  /** 0: no limit. */
  readonly databytes: number
  readonly idleSecondsMax: number
  isBadSender(sender: ByteString): boolean
  /** Undefined: unknown now, since morercpthosts.cdb cannot be read. */
  isAllowedRecipient(recipient: ByteString): boolean | undefined
  /** The address after control/percenthack, which is the one to check. */
  withoutPercents(recipient: ByteString): ByteString
  /** `user@[an address of ours]` → `user@localiphost`. */
  readonly localized: (address: ByteString) => ByteString
  mayRelay(ip: string): boolean
}

const nothing: readonly ByteString[] = []
const loopback: readonly string[] = ['127.0.0.0/8', '::1']

/** A policy from what `control` holds now. */
export function readPolicy(
  control: Control,
  moreHosts: MoreHosts,
  isLocalAddress: (ip: string) => boolean,
  onProblem: (problem: string) => void,
): Policy {
  const badSenders = lowerSet(control.list('badmailfrom') ?? nothing)
  const isOurs = domainCheck(control.list('rcpthosts'), moreHosts)
  const relays = relayList(control.list('relayclients') ?? loopback, onProblem)
  const localIpHost = control.optionalLine('localiphost')
  const percenthack = lowerSet(control.list('percenthack') ?? nothing)
  const envnoathost = control.line('envnoathost')
  const srsDomain = lowerAscii(control.optionalLine('srs_domain') ?? '')
  return {
    greeting: control.line('smtpgreeting'),
    me: control.optionalLine('me'),
    databytes: control.number('databytes'),
    idleSecondsMax: Math.max(1, control.number('timeoutsmtpd')),
    isBadSender(sender) {
      const address = lowerAscii(bounceRecipient(sender))
      const domain = domainOf(address)
      return badSenders.has(address) || (domain !== undefined && badSenders.has(`@${domain}`))
    },
    isAllowedRecipient(recipient) {
      const domain = domainOf(recipient)
      if (domain === undefined) return true
      // The gate has the queue verify it.
      if (srsDomain !== '' && isSrsAddress(recipient, srsDomain)) return true
      return isOurs(domain)
    },
    withoutPercents(recipient) {
      if (percenthack.size === 0) return recipient
      const whole = withHost(recipient, envnoathost)
      const unfolded = unfoldPercents(whole, percenthack)
      return unfolded === whole ? recipient : unfolded
    },
    localized(address) {
      return localIpHost === undefined ? address : localized(address, { name: localIpHost, isOurs: isLocalAddress })
    },
    mayRelay: (ip) => relays.has(ip),
  }
}

/** Keyed by list, so that faults of an unchanged file are reported once. */
const relayLists = new WeakMap<readonly string[], NetworkList>()

function relayList(lines: readonly string[], onProblem: (problem: string) => void): NetworkList {
  const known = relayLists.get(lines)
  if (known !== undefined) return known
  const list = new NetworkList('relayclients', () => lines, onProblem)
  relayLists.set(lines, list)
  return list
}
