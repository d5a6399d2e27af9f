/** The digests of a body, made while it arrives: what policy and signer are told instead of the body. */
import { fromBuffer, type ByteString } from '../../base/byte-string.ts'
import type { Digests } from '../../contracts/policy-auth.ts'
import { CanonicalBody, type Canonicalization } from '../../protocols/dkim/canonical-body.ts'
import { type HeaderField, valueOf } from '../../protocols/dkim/header-fields.ts'
import { bodiesWanted } from '../../protocols/dkim/signature.ts'
import type { BodyDigest } from '../../protocols/dkim/verify.ts'
import { RunningSha256 } from '../../system/digests.ts'

/** In one of the two forms. Lines end with LF. */
export class RunningBodyDigest {
  private readonly hash = new RunningSha256()
  private readonly canonical: CanonicalBody

  constructor(kind: Canonicalization) {
    this.canonical = new CanonicalBody(kind, this.hash.update)
  }

  push(text: ByteString): void {
    this.canonical.push(text)
  }

  /** Once, after the last byte. */
  finish(): BodyDigest {
    this.canonical.end()
    return { bytes: this.canonical.bytes, sha256: this.hash.finish() }
  }
}

/** Those that the signatures of a message ask for. An unsigned one costs nothing. */
export class BodyDigests {
  readonly isSigned: boolean
  private readonly bodies: ReadonlyMap<Canonicalization, RunningBodyDigest>

  constructor(header: readonly HeaderField[]) {
    const signatures = header.filter(({ name }) => name === 'dkim-signature')
    this.isSigned = signatures.length > 0
    const kinds = [...bodiesWanted(signatures.map(valueOf))]
    this.bodies = new Map(kinds.map((kind) => [kind, new RunningBodyDigest(kind)]))
  }

  push(bytes: Buffer): void {
    if (this.bodies.size === 0) return
    const text = fromBuffer(bytes)
    for (const digest of this.bodies.values()) digest.push(text)
  }

  /** Once, after the last byte. */
  finish(): Digests {
    const digests: { -readonly [Kind in keyof Digests]: Digests[Kind] } = {}
    for (const [kind, digest] of this.bodies) digests[kind] = digest.finish()
    return digests
  }
}
