/** Which certificates and keys the programs get: one order from the pairs of HOME/tls.
 *  Fails:  pairs that do not fit are left out and reported; the default is never left out. */
import { type NamedPair, type TlsOrder, tlsOrderBytesMax, tlsPairsMax } from '../../contracts/supervise.ts'
import type { TlsPair } from '../../stores/home/tls-files.ts'

export interface PlannedTls {
  readonly pairs: TlsOrder['pairs']
  readonly faults: readonly string[]
}

/** `named`: by directory; the first one that has a host name gets it. */
export function planTls(fallback: TlsPair, named: ReadonlyMap<string, NamedPair>): PlannedTls {
  const pairs: NamedPair[] = [{ ...fallback, names: [] }]
  const faults: string[] = []
  const owners = new Map<string, string>()
  let bytes = bytesOf(fallback)
  for (const [directory, pair] of named) {
    const names = pair.names.filter((name) => !owners.has(name))
    for (const name of pair.names) {
      const owner = owners.get(name)
      if (owner !== undefined) faults.push(`${directory} is for ${name} too, which gets the certificate of ${owner}`)
    }
    if (names.length === 0) continue
    bytes += bytesOf(pair) + names.join('').length
    if (pairs.length > tlsPairsMax || bytes > tlsOrderBytesMax) {
      faults.push(`${directory} and those after it are too much: ${tlsPairsMax} of ${tlsOrderBytesMax} bytes are taken`)
      break
    }
    for (const name of names) owners.set(name, directory)
    pairs.push({ ...pair, names })
  }
  return { pairs, faults }
}

function bytesOf({ certificatePem, keyPem }: TlsPair): number {
  return Buffer.byteLength(certificatePem) + Buffer.byteLength(keyPem)
}
