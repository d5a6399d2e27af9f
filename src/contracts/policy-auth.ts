/** The part of the policy contract about a complete message: who signed it, and whether its author is genuine.
 *  The body is not sent: its digests are all that signatures need. */
import type { ByteString } from '../base/byte-string.ts'
import { choice, type FieldReader, type FieldWriter } from './fields.ts'
import { bounded, boundedTo, cut, flag, policyFieldBytesMax, text } from './policy-fields.ts'

/** Policy is not asked about a larger header. */
export const authHeaderBytesMax: number = 128 * 1024
const signaturesMax = 16
const thoughtsMax = 500
const digestBytes = 32

/** RFC 8601 §2.7.2; `policy`: a pass that the domain gives to every host; it does not count here. */
export const spfFindings = ['pass', 'fail', 'softfail', 'neutral', 'none', 'temperror', 'permerror', 'policy'] as const
type SpfFinding = (typeof spfFindings)[number]

/** RFC 8601 §2.7.1. */
const dkimFindings = ['pass', 'fail', 'policy', 'none', 'temperror', 'permerror'] as const
type DkimFinding = (typeof dkimFindings)[number]

/** `permerror`: there is no single author domain to evaluate. */
const dmarcFindings = ['none', 'pass', 'fail', 'temperror', 'permerror'] as const
type DmarcFinding = (typeof dmarcFindings)[number]

const ownerPolicies = ['none', 'quarantine', 'reject'] as const
type OwnerPolicy = (typeof ownerPolicies)[number]

/** A whole body after canonicalization (RFC 6376 §3.4). */
interface Digest {
  readonly bytes: number
  readonly sha256: ByteString
}

/** Those that the signatures ask for. */
export interface Digests {
  readonly simple?: Digest
  readonly relaxed?: Digest
}

export interface AuthQuestion {
  /** Empty: SPF is not checked. */
  readonly ip: string
  readonly helo: ByteString
  readonly sender: ByteString
  /** As in the question about SPF. */
  readonly refuseOpenPass: boolean
  /** As it came, with LF, without the empty line. */
  readonly header: ByteString
  readonly bodies: Digests
  /** Return every step in `thoughts`. */
  readonly explain: boolean
}

export interface SignatureFinding {
  readonly result: DkimFinding
  /** In our words; empty at `pass`. */
  readonly reason: string
  /** d= and s=, as far as they could be read. */
  readonly domain: ByteString
  readonly selector: ByteString
  /** The first bytes of b=: they tell two signatures of a domain apart (RFC 6008). */
  readonly mark: ByteString
}

export interface AuthFindings {
  readonly spf: SpfFinding
  /** From the top. */
  readonly signatures: readonly SignatureFinding[]
  /** How many further signatures were not looked at. */
  readonly skipped: number
  readonly dmarc: DmarcFinding
  /** The author's domain; empty: there is none, for the reason in `whyNoAuthor`. */
  readonly author: ByteString
  readonly whyNoAuthor: string
  /** Readers could see several authors, or one with an invalid domain. */
  readonly isAmbiguous: boolean
  /** What the owner of that domain wants done with failures; undefined: unknown. */
  readonly policy: OwnerPolicy | undefined
  /** The message names a mailing list whose domain signed it. */
  readonly isFromList: boolean
  /** Policy wants to be told what becomes of the message, under this number, for its reports; 0: it does not. */
  readonly receipt: number
  /** Lines, `topic: text`, if they were asked for. */
  readonly thoughts: readonly ByteString[]
}

export function writeAuthQuestion(fields: FieldWriter, question: AuthQuestion): void {
  fields
    .string(bounded(question.helo))
    .string(bounded(question.sender))
    .u8(question.refuseOpenPass ? 1 : 0)
  for (const digest of [question.bodies.simple, question.bodies.relaxed]) {
    fields.u8(digest === undefined ? 0 : 1)
    if (digest !== undefined) fields.u64(digest.bytes).string(digest.sha256)
  }
  fields.u8(question.explain ? 1 : 0).string(boundedTo(authHeaderBytesMax, question.header))
}

export function readAuthQuestion(fields: FieldReader): Omit<AuthQuestion, 'ip'> {
  const [helo, sender, refuseOpenPass] = [text(fields), text(fields), flag(fields)]
  const [simple, relaxed] = [readDigest(fields), readDigest(fields)]
  const explain = flag(fields)
  const header = fields.string(authHeaderBytesMax)
  const bodies = { ...(simple === undefined ? {} : { simple }), ...(relaxed === undefined ? {} : { relaxed }) }
  return { helo, sender, refuseOpenPass, header, bodies, explain }
}

function readDigest(fields: FieldReader): Digest | undefined {
  return flag(fields) ? { bytes: fields.u64(), sha256: fields.string(digestBytes) } : undefined
}

export function writeAuthFindings(fields: FieldWriter, findings: AuthFindings): void {
  const signatures = findings.signatures.slice(0, signaturesMax)
  fields.u8(spfFindings.indexOf(findings.spf)).u8(signatures.length)
  for (const { result, reason, domain, selector, mark } of signatures) {
    fields.u8(dkimFindings.indexOf(result)).string(cut(reason)).string(cut(domain)).string(cut(selector))
    fields.string(cut(mark))
  }
  fields.u32(findings.skipped).u8(dmarcFindings.indexOf(findings.dmarc))
  fields
    .string(cut(findings.author))
    .string(cut(findings.whyNoAuthor))
    .u8(findings.isAmbiguous ? 1 : 0)
  fields.u8(findings.policy === undefined ? ownerPolicies.length : ownerPolicies.indexOf(findings.policy))
  fields
    .u8(findings.isFromList ? 1 : 0)
    .u32(findings.receipt)
    .strings(findings.thoughts.slice(0, thoughtsMax).map(cut))
}

export function readAuthFindings(fields: FieldReader): AuthFindings {
  const spf = choice(fields, spfFindings)
  const signatures: SignatureFinding[] = []
  for (let left = fields.u8(); left > 0; left--) {
    const result = choice(fields, dkimFindings)
    const [reason, domain, selector, mark] = [text(fields), text(fields), text(fields), text(fields)]
    signatures.push({ result, reason, domain, selector, mark })
  }
  const skipped = fields.u32()
  const dmarc = choice(fields, dmarcFindings)
  const [author, whyNoAuthor, isAmbiguous] = [text(fields), text(fields), flag(fields)]
  const wanted = choice(fields, [...ownerPolicies, 'unknown'] as const)
  const policy = wanted === 'unknown' ? undefined : wanted
  const [isFromList, receipt] = [flag(fields), fields.u32()]
  const thoughts = fields.strings(thoughtsMax, policyFieldBytesMax)
  return { spf, signatures, skipped, dmarc, author, whyNoAuthor, isAmbiguous, policy, isFromList, receipt, thoughts }
}
