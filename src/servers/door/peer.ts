/** Who is at the other end, and the environment that its session and the programs run for it have: what tcpserver and
 *  its rules gave to qmail-smtpd. */
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

/** What is known without any rule. */
export function baseEnvironment(peer: Peer, { me }: Pick<Host, 'me'>): Environment {
  return new Map([
    ['PROTO', peer.remoteIp.includes(':') ? 'TCP6' : 'TCP'],
    ['TCPREMOTEIP', peer.remoteIp],
    ['TCPREMOTEPORT', String(peer.remotePort)],
    ['TCPREMOTEHOST', 'unknown'],
    ['TCPLOCALIP', peer.localIp],
    ['TCPLOCALPORT', String(peer.localPort)],
    ['TCPLOCALHOST', me ?? peer.localIp],
  ])
}

export function plainIp(ip: string | undefined): string {
  if (ip === undefined) return 'unknown'
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip
}

export function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.')
}

/** What one peer is taken to be when connections are counted: an IPv4 address, or the /64 of an IPv6 address. */
export function peerKey(ip: string): string {
  if (!ipaddr.IPv6.isValid(ip)) return ip
  return ipaddr.IPv6.parse(ip).parts.slice(0, 4).join(':')
}
