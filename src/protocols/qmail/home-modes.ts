/** What the modes of a home and of a `.qmail` file say about deliveries: qmail-local's rules and texts, all temporary. */
import { type Failure, transient } from '../../base/outcome.ts'

/** qmail's default pattern: only what is writable by all is refused. */
const writableBits = 0o002
const stickyBit = 0o1000
/** Of a `.qmail` file. A list of 20,000 addresses fits. */
export const dotQmailBytesMax: number = 1024 * 1024

/** Undefined: the home can take mail. */
export function homeModeFault(mode: number): Failure | undefined {
  if ((mode & writableBits) !== 0) return transient('7.0', 'Uh-oh: home directory is writable.')
  if ((mode & stickyBit) !== 0) return transient('2.1', 'Home directory is sticky: user is editing his .qmail file.')
  return undefined
}

export function dotQmailModeFault(mode: number): Failure | undefined {
  return (mode & writableBits) === 0 ? undefined : transient('7.0', 'Uh-oh: .qmail file is writable.')
}
