/** control/notlspolicies: domains whose published policies on TLS are ignored. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'

/** A line is a domain, or `.domain` for all below it. */
export function isPolicyHeeded(lines: readonly ByteString[] | undefined, domain: ByteString): boolean {
  const name = lowerAscii(domain)
  const isListed = (line: ByteString): boolean => (line.startsWith('.') ? name.endsWith(line) : name === line)
  return !(lines ?? []).map(lowerAscii).some(isListed)
}
