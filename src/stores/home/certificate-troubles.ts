/** What is wrong with usable certificates: out of date, or not for this host.
 *  Never:  checks whether a certificate and its key can be used; see `readTls`. */
import type { Trouble } from '../../contracts/troubles.ts'
import { coversHost, validityOf } from '../../system/keys.ts'
import type { TlsPair } from './tls-files.ts'

/** Or the last third of its life, if that is shorter: some are valid for six days. */
const expiringMilliseconds: number = 7 * 86_400_000

/** `pairs`: by their directories, the default first. `ownName`: control/me, the name that mail programs connect to. `now`:
 *  milliseconds since 1970. */
export function certificateTroubles(
  pairs: ReadonlyMap<string, Pick<TlsPair, 'certificatePem'>>,
  ownName: string | undefined,
  now: number,
): Trouble[] {
  const found: Trouble[] = []
  for (const [where, { certificatePem }] of pairs) {
    const { fromMs, toMs } = validityOf(certificatePem)
    if (toMs <= now) found.push({ kind: 'certificate-expired', where, text: `it ended on ${day(toMs)}` })
    else if (fromMs > now) found.push({ kind: 'certificate-expired', where, text: `it begins on ${day(fromMs)}` })
    else if (toMs - now < Math.min(expiringMilliseconds, (toMs - fromMs) / 3))
      found.push({ kind: 'certificate-expiring', where, text: `it ends on ${day(toMs)}` })
  }
  const [first] = pairs.keys()
  if (first === undefined || ownName === undefined) return found
  const isCovered = [...pairs.values()].some(({ certificatePem }) => coversHost(certificatePem, ownName))
  if (!isCovered) found.push({ kind: 'certificate-name', where: first, text: `no certificate is for ${ownName}` })
  return found
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
