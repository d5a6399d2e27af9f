/** Signs a message for the domain of its author, with the keys that control/dkimdomains names, if the submitter owns the
 *  domain.
 *  Never:  trusts a process about itself: the uid comes from the kernel, by way of queue.
 *  Fails:  a named key that cannot be used is a temporary failure: unsigned mail of such a domain would be rejected
 *          elsewhere. */
import type { KeyObject } from 'node:crypto'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { SignAnswer, SignQuestion } from '../../contracts/signing.ts'
import { authorDomain } from '../../protocols/dkim/author-domain.ts'
import { headerFields, valueOf } from '../../protocols/dkim/header-fields.ts'
import { oversignedFields, signatureField } from '../../protocols/dkim/sign.ts'
import { type Lines, signingRuleFor } from '../../protocols/dkim/signing-rules.ts'
import { parseTagList } from '../../protocols/dkim/tag-list.ts'
import { kindOf, makeSignature } from '../../system/signatures.ts'

export interface SignerWorld {
  /** control/dkimdomains. */
  domains(): Lines
  /** Undefined: there is none. Throws if it cannot be used. */
  key(domain: ByteString, selector: ByteString): KeyObject | undefined
  /** Does the account with this uid own the domain? Throws if it is unknown now. */
  owns(uid: number, domain: ByteString): Promise<boolean>
  /** Seconds since 1970. */
  now(): number
}

type Answer = SignAnswer extends infer One ? (One extends unknown ? Omit<One, 'ref'> : never) : never

export async function signatures(question: SignQuestion, world: SignerWorld): Promise<Answer> {
  const { header, bodySha256, uid, isOurs } = question
  const author = authorDomain(header)
  if (author.domain === undefined) return { kind: 'unsigned', why: author.why }
  const rule = signingRuleFor(author.domain, world.domains())
  if (rule === undefined) return { kind: 'unsigned', why: `control/dkimdomains does not name ${author.domain}` }
  const already = selectorsIn(header, rule.domain)
  const selectors = rule.selectors.filter((selector) => !already.has(selector))
  if (selectors.length === 0) return { kind: 'unsigned', why: `it is signed for ${rule.domain} already` }
  try {
    if (!isOurs && !(await world.owns(uid, author.domain)))
      return { kind: 'unsigned', why: `uid ${uid} has no account in ${author.domain}, nor is in control/dkimusers` }
    const fields = selectors.map((selector) => fieldBy(rule.domain, selector, question, world, bodySha256))
    return { kind: 'signed', fields: fields.join('') }
  } catch (error) {
    return { kind: 'failed', why: describeError(error) }
  }
}

function fieldBy(
  domain: ByteString,
  selector: ByteString,
  { header }: SignQuestion,
  world: SignerWorld,
  bodySha256: ByteString,
): ByteString {
  const key = world.key(domain, selector)
  if (key === undefined)
    throw new Error(`no key ${selector} of ${domain}: 'quaver dkim keygen ${domain} --selector ${selector}' makes it`)
  const algorithm = kindOf(key) === 'rsa' ? 'rsa-sha256' : 'ed25519-sha256'
  const signing = { domain, selector, algorithm, sign: (text: ByteString) => makeSignature(key, text) } as const
  const facts = { bodySha256, now: world.now(), validFor: undefined, oversigned: oversignedFields }
  const field = signatureField(header, signing, facts)
  if (field === undefined) throw new Error('a message without From came to be signed')
  return field
}

/** Selectors of the domain's signatures already in the message, as when it is handed in a second time. */
function selectorsIn(header: ByteString, domain: ByteString): ReadonlySet<ByteString> {
  const selectors = new Set<ByteString>()
  for (const field of headerFields(header)) {
    if (field.name !== 'dkim-signature') continue
    const tags = parseTagList(valueOf(field))
    if (tags?.get('d')?.toLowerCase() === domain) selectors.add(tags.get('s')?.toLowerCase() ?? '')
  }
  return selectors
}
