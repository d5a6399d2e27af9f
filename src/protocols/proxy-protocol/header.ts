/** The header that a proxy puts in front of a connection (PROXY protocol, versions 1 and 2): the true client.
 *  Knows:  both forms, over the bytes received so far. Never: whether the sender may be believed.
 *  Fails:  a header that breaks the form is `bad`, with a reason for the log. */
import ipaddr from 'ipaddr.js'

export interface Announced {
  readonly remoteIp: string
  readonly remotePort: number
  readonly localIp: string
  readonly localPort: number
}

export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'bad'; readonly reason: string }
  /** `announced` undefined: the proxy speaks for itself (LOCAL, UNKNOWN), as in its health checks. */
  | { readonly kind: 'whole'; readonly bytes: number; readonly announced: Announced | undefined }

/** With CRLF. */
export const version1BytesMax = 107
/** Fixed part, addresses and extensions. */
export const version2BytesMax = 536

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const version1Start = Buffer.from('PROXY ', 'latin1')
const fixedBytes = 16
const incomplete: ProxyHeader = { kind: 'incomplete' }

export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsAlike(bytes, signature)) return bytes.length < fixedBytes ? incomplete : parseVersion2(bytes)
  if (startsAlike(bytes, version1Start)) return parseVersion1(bytes)
  return bad('is not there')
}

/** As far as both go. */
function startsAlike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, length, 0, length) === 0
}

function parseVersion1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, version1BytesMax).indexOf('\r\n')
  if (end < 0) return bytes.length >= version1BytesMax ? bad('has no end') : incomplete
  const words = bytes.toString('latin1', 0, end).split(' ')
  const whole = end + 2
  if (words[1] === 'UNKNOWN') return { kind: 'whole', bytes: whole, announced: undefined }
  const [, family, remoteIp = '', localIp = '', remotePort = '', localPort = ''] = words
  const isIp = family === 'TCP4' ? ipaddr.IPv4.isValidFourPartDecimal : family === 'TCP6' ? isIpv6 : undefined
  if (isIp === undefined) return bad('names no protocol that we know')
  if (words.length !== 6 || !isIp(remoteIp) || !isIp(localIp)) return bad('has wrong addresses')
  if (!isPort(remotePort) || !isPort(localPort)) return bad('has wrong ports')
  const announced = {
    remoteIp: plain(remoteIp),
    remotePort: Number(remotePort),
    localIp: plain(localIp),
    localPort: Number(localPort),
  }
  return { kind: 'whole', bytes: whole, announced }
}

function isIpv6(text: string): boolean {
  return ipaddr.IPv6.isValid(text) && !text.includes('%')
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535
}

const command = { local: 0, proxy: 1 } as const
/** Address family in the high half, TCP in the low one. */
const family = { tcp4: 0x11, tcp6: 0x21 } as const

function parseVersion2(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12)
  if (versionAndCommand >> 4 !== 2) return bad('has an unknown version')
  const whole = fixedBytes + bytes.readUInt16BE(14)
  if (whole > version2BytesMax) return bad('is too long')
  if (bytes.length < whole) return incomplete
  const asked = versionAndCommand & 0x0f
  if (asked === command.local) return { kind: 'whole', bytes: whole, announced: undefined }
  if (asked !== command.proxy) return bad('has an unknown command')
  const addressBytes = { [family.tcp4]: 4, [family.tcp6]: 16 }[bytes.readUInt8(13)]
  // Unspecified, UDP or a Unix socket: no address that rules could look at.
  if (addressBytes === undefined) return { kind: 'whole', bytes: whole, announced: undefined }
  const ports = fixedBytes + 2 * addressBytes
  if (whole < ports + 4) return bad('is too short for its addresses')
  const ipAt = (at: number): string => plainBytes(bytes.subarray(at, at + addressBytes))
  const announced = {
    remoteIp: ipAt(fixedBytes),
    localIp: ipAt(fixedBytes + addressBytes),
    remotePort: bytes.readUInt16BE(ports),
    localPort: bytes.readUInt16BE(ports + 2),
  }
  return { kind: 'whole', bytes: whole, announced }
}

function plain(text: string): string {
  return show(ipaddr.process(text))
}

function plainBytes(bytes: Buffer): string {
  return plain(ipaddr.fromByteArray([...bytes]).toString())
}

function show(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString()
}

function bad(reason: string): ProxyHeader {
  return { kind: 'bad', reason }
}
