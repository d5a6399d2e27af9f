/** Addresses as names of the DNS. */

/** `192.0.2.9` → `9.2.0.192`; of IPv6 the nibbles, last first (RFC 5782 §2.1, §2.4). `address` is 4 or 16 bytes. */
export function reversed(address: readonly number[]): string {
  const parts =
    address.length === 4
      ? address.map(String)
      : address.flatMap((byte) => [(byte >> 4).toString(16), (byte & 15).toString(16)])
  return parts.reverse().join('.')
}

/** Where the name of a host is: `9.2.0.192.in-addr.arpa` (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseName(address: readonly number[]): string {
  return `${reversed(address)}.${address.length === 4 ? 'in-addr' : 'ip6'}.arpa`
}
