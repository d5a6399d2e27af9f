/** TLSA records against the certificates that a server shows (RFC 7671 §5).
 *  Knows:  what a record is compared with. For usage 3 nothing else counts: no name, no date, no chain (RFC 7672 §3.1.1). For
 *          usage 2 it finds the authority; what that one has signed OpenSSL judges. */
import { createHash, X509Certificate } from 'node:crypto'
import type { UsableTlsa } from '../../protocols/dane/tlsa.ts'

/** Of a chain as a server sends it. */
const chainMax = 20

export function matchesEndEntity(records: readonly UsableTlsa[], leaf: X509Certificate): boolean {
  return records.some((record) => record.usage === 3 && matches(record, leaf))
}

/** The authority that a record of usage 2 names, as PEM. */
export function anchorIn(records: readonly UsableTlsa[], leaf: X509Certificate): string | undefined {
  const authorities = records.filter(({ usage }) => usage === 2)
  if (authorities.length === 0) return undefined
  let certificate = leaf.issuerCertificate
  for (let depth = 1; certificate !== undefined && depth < chainMax; depth++) {
    const found = certificate
    if (authorities.some((record) => matches(record, found))) return found.toString()
    certificate = found.issuerCertificate
  }
  return undefined
}

/** Those that records of usage 2 hold whole, as PEM: a server need not send them. */
export function certificatesIn(records: readonly UsableTlsa[]): string[] {
  return records.flatMap(({ usage, selector, matching, data }) => {
    if (usage !== 2 || selector !== 0 || matching !== 0) return []
    try {
      return [new X509Certificate(data).toString()]
    } catch {
      return []
    }
  })
}

function matches({ selector, matching, data }: UsableTlsa, certificate: X509Certificate): boolean {
  const bytes = selector === 0 ? certificate.raw : publicKeyOf(certificate)
  if (matching === 0) return bytes?.equals(data) === true
  const hash = createHash(matching === 1 ? 'sha256' : 'sha512')
  return bytes !== undefined && hash.update(bytes).digest().equals(data)
}

/** Undefined: of a kind that OpenSSL does not know. */
function publicKeyOf(certificate: X509Certificate): Buffer | undefined {
  try {
    return certificate.publicKey.export({ type: 'spki', format: 'der' })
  } catch {
    return undefined
  }
}
