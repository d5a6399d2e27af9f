/** The addresses of this machine's interfaces that are up. */
import { networkInterfaces } from 'node:os'

/** Interfaces come and go; asking the system takes a few system calls. */
const keptMilliseconds = 10_000

/** Looked up again now and then; the same set for as long as it was not. */
export function interfaceAddressReader(monotonic: () => number): () => ReadonlySet<string> {
  let known: ReadonlySet<string> = new Set()
  let readAt = Number.NEGATIVE_INFINITY
  return () => {
    const now = monotonic()
    if (now - readAt > keptMilliseconds) {
      readAt = now
      const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
      known = new Set(interfaces.map(({ address }) => address.split('%')[0] ?? address))
    }
    return known
  }
}
