/** The digests of a body that its signatures ask for, made while it arrives: what policy is told instead of the body.
 *  An unsigned message costs nothing. */
import { fromBuffer } from '../../base/byte-string.ts'
import type { Digests } from '../../contracts/policy-auth.ts'
import { CanonicalBody, type Canonicalization } from '../../protocols/dkim/canonical-body.ts'
import { type HeaderField, valueOf } from '../../protocols/dkim/header-fields.ts'
import { bodiesWanted } from '../../protocols/dkim/signature.ts'
import { RunningSha256 } from '../../system/digests.ts'

export class BodyDigests {
  readonly isSigned: boolean
  private readonly bodies = new Map<Canonicalization, { canonical: CanonicalBody; hash: RunningSha256 }>()

  constructor(header: readonly HeaderField[]) {
    const signatures = header.filter(({ name }) => name === 'dkim-signature')
    this.isSigned = signatures.length > 0
    for (const kind of bodiesWanted(signatures.map(valueOf))) {
      const hash = new RunningSha256()
      this.bodies.set(kind, { canonical: new CanonicalBody(kind, hash.update), hash })
    }
  }

  /** Lines end with LF. */
  push(bytes: Buffer): void {
    if (this.bodies.size === 0) return
    const text = fromBuffer(bytes)
    for (const { canonical } of this.bodies.values()) canonical.push(text)
  }

  /** Once, behind the last byte. */
  finish(): Digests {
    const digests: { -readonly [Kind in keyof Digests]: Digests[Kind] } = {}
    for (const [kind, { canonical, hash }] of this.bodies) {
      canonical.end()
      digests[kind] = { bytes: canonical.bytes, sha256: hash.finish() }
    }
    return digests
  }
}
