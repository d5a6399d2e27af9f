/** A connection's peer, and the environment of its session and of the programs run for it: what tcpserver and its rules gave
 *  to qmail-smtpd. */
import ipaddr from 'ipaddr.js'

/** Addresses in their usual form: IPv4 stays IPv4 even when it came through an IPv6 socket. */
export interface Peer {
  readonly remoteIp: string
  readonly remotePort: number
  readonly localIp: string
  readonly localPort: number
}

export type Environment = ReadonlyMap<string, string>

/** What the control files say of this host and its own clients. */
export interface Host {
  /** For TCPLOCALHOST; undefined: no control/me. */
  readonly me: string | undefined
  mayRelay(ip: string): boolean
}

/** What the DNS, an identd or XCLIENT said of a peer, if one did. */
export interface Known {
  readonly host?: string | undefined
  /** The name is not confirmed: rules do not go by it. */
  readonly isUnproven?: boolean
  readonly info?: string | undefined
}

/** What is known without any rule. TCPREMOTEHOST and TCPREMOTEINFO are there only if known. An IPv6 peer has
 *  all of it twice, as under ucspi-tcp6: programs find it by `${PROTO}REMOTEIP`, or by the old names. */
export function baseEnvironment(peer: Peer, { me }: Pick<Host, 'me'>, known: Known = {}): Environment {
  const isIpv6 = peer.remoteIp.includes(':')
  const environment = new Map([['PROTO', isIpv6 ? 'TCP6' : 'TCP']])
  for (const prefix of isIpv6 ? ['TCP', 'TCP6'] : ['TCP']) {
    environment.set(`${prefix}REMOTEIP`, peer.remoteIp).set(`${prefix}REMOTEPORT`, String(peer.remotePort))
    if (known.host !== undefined) environment.set(`${prefix}REMOTEHOST`, known.host)
    if (known.info !== undefined) environment.set(`${prefix}REMOTEINFO`, known.info)
    environment.set(`${prefix}LOCALIP`, peer.localIp).set(`${prefix}LOCALPORT`, String(peer.localPort))
    environment.set(`${prefix}LOCALHOST`, me ?? peer.localIp)
  }
  return environment
}

export function plainIp(ip: string | undefined): string {
  if (ip === undefined) return 'unknown'
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip
}

export function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.')
}

/** The network that usually has one administrator: an IPv4 /24, or an IPv6 /48. */
export function networkKey(ip: string): string {
  if (!ipaddr.IPv6.isValid(ip)) return ip.slice(0, ip.lastIndexOf('.') + 1)
  return ipaddr.IPv6.parse(ip).parts.slice(0, 3).join(':')
}

/** What counts as one peer when connections are counted: an IPv4 address, or the /64 of an IPv6 address. */
export function peerKey(ip: string): string {
  if (!ipaddr.IPv6.isValid(ip)) return ip
  return ipaddr.IPv6.parse(ip).parts.slice(0, 4).join(':')
}
