/** How addresses are spelt as keys of a tcprules cdb.
 *  An IPv6 address is in the form of RFC 5952, a prefix of one in whole groups without leading zeros and with a colon at
 *  its end. Networks are ucspi-tcp6's: `_` and the bits of an IPv4 network, `^` and those of an IPv6 one. */
import ipaddr from 'ipaddr.js'

/** Undefined: no IPv6 address. IPv4-mapped ones stay as they are: no peer is ever shown so. */
export function canonicalIpv6(text: string): string | undefined {
  const bare = withoutZone(text)
  if (!ipaddr.IPv6.isValid(bare)) return undefined
  const address = ipaddr.IPv6.parse(bare)
  return address.isIPv4MappedAddress() ? bare : address.toRFC5952String()
}

/** `2001:0DB8:` → `2001:db8:`. Undefined: no such prefix. */
export function ipv6Prefix(text: string): string | undefined {
  if (!/^(?:[0-9A-Fa-f]{1,4}:){1,7}$/.test(text)) return undefined
  return text
    .slice(0, -1)
    .split(':')
    .map((group) => `${Number.parseInt(group, 16).toString(16)}:`)
    .join('')
}

/** Undefined: no network. Bits after the prefix do not count. */
export function networkKey(text: string): string | undefined {
  if (!/^[0-9A-Fa-f:.]{2,45}\/[0-9]{1,3}$/.test(text)) return undefined
  try {
    const [address, length] = ipaddr.parseCIDR(text)
    return prefixKey(address.toByteArray(), length)
  } catch {
    return undefined
  }
}

export const networkMark = { 4: '_', 6: '^' } as const

/** The key of the network of so many bits around an address of 4 or 16 bytes. */
export function prefixKey(bytes: readonly number[], length: number): string {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return networkMark[bytes.length === 4 ? 4 : 6] + bits.slice(0, length)
}

/** `_1100…` → `192.0.2.0/24`. Undefined: no key of a network. */
export function networkOf(key: string): string | undefined {
  const bytesMax = key.startsWith(networkMark[4]) ? 4 : key.startsWith(networkMark[6]) ? 16 : 0
  const bits = key.slice(1)
  if (bytesMax === 0 || bits.length > bytesMax * 8 || !/^[01]*$/.test(bits)) return undefined
  const padded = bits.padEnd(bytesMax * 8, '0')
  const bytes = Array.from({ length: bytesMax }, (_, n) => Number.parseInt(padded.slice(n * 8, n * 8 + 8), 2))
  return `${ipaddr.fromByteArray(bytes).toString()}/${bits.length}`
}

/** A key of a network that is a good part of the world: no site has so many addresses. */
export function isWideKey(key: string): boolean {
  const most = key.startsWith(networkMark[4]) ? narrowBits[4] : key.startsWith(networkMark[6]) ? narrowBits[6] : 0
  return /^[_^][01]*$/.test(key) && key.length - 1 < most
}

/** A network of fewer bits is wide. */
export const narrowBits = { 4: 7, 6: 16 } as const

/** A peer's address; IPv4 that came through an IPv6 socket is IPv4. Undefined: no address. */
export function parseIp(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const bare = withoutZone(text)
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return undefined
  return ipaddr.process(bare)
}

function withoutZone(text: string): string {
  const zone = text.indexOf('%')
  return zone < 0 ? text : text.slice(0, zone)
}
