/** control/dnstrust: which name servers are believed when they say that an answer was verified (DNSSEC). Without the file those
 *  on loopback: answers of any other could be forged on their way. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { parseAddress } from '../../system/bind.ts'

/** A line that says that no server is trusted. */
export const nobodyTrusted = 'none'

/** `lines`: undefined without the file. The result takes a server as Node names it: an address, or one with a port. */
export function readDnsTrust(lines: readonly ByteString[] | undefined): (server: string) => boolean {
  if (lines === undefined) return (server) => addressOf(server)?.range() === 'loopback'
  const trusted = new Set(lines.filter((line) => line !== nobodyTrusted).map((line) => addressOf(line)?.toString()))
  trusted.delete(undefined)
  return (server) => !lines.includes(nobodyTrusted) && trusted.has(addressOf(server)?.toString())
}

export function isDnsTrust(line: ByteString): boolean {
  return line === nobodyTrusted || parseIp(line) !== undefined
}

function addressOf(server: string): ReturnType<typeof parseIp> {
  return parseIp(parseAddress(server)?.host ?? server)
}
