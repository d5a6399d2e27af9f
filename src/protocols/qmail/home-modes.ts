/** What the modes of a home and of a `.qmail` file say about deliveries: qmail-local's rules and texts, all temporary. */
import type { ByteString } from '../../base/byte-string.ts'

/** Site patterns are qmail's: only what everybody may write to is refused. */
const writableBits = 0o002
const stickyBit = 0o1000
/** Of a `.qmail` file. A list of 20,000 addresses fits. */
export const dotQmailBytesMax: number = 1024 * 1024

/** Undefined: the home can take mail. */
export function homeModeFault(mode: number): ByteString | undefined {
  if ((mode & writableBits) !== 0) return 'Uh-oh: home directory is writable. (#4.7.0)'
  if ((mode & stickyBit) !== 0) return 'Home directory is sticky: user is editing his .qmail file. (#4.2.1)'
  return undefined
}

export function dotQmailModeFault(mode: number): ByteString | undefined {
  return (mode & writableBits) === 0 ? undefined : 'Uh-oh: .qmail file is writable. (#4.7.0)'
}
