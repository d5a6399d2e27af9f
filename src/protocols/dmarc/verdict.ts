/** Whether the author of a message is genuine (RFC 9989 §4, §5): the author's domain is compared with the domains that signed
 *  the message and the one that SPF found to permit its client.
 *  Asks:   for texts of names, by `yield`; each name once.
 *  Fails:  trouble with the DNS is `temperror`: neither pass nor fail. */
import { type Policy, policies } from './record.ts'
import { type Asking, type RecordAt, type Walk, walkFrom } from './tree-walk.ts'

export const dmarcResults = ['none', 'pass', 'fail', 'temperror', 'permerror'] as const
export type DmarcResult = (typeof dmarcResults)[number]

/** A domain that DKIM or SPF speaks for; all in lower case, as they are in the DNS. */
export interface Identity {
  readonly by: 'dkim' | 'spf'
  readonly domain: string
  /** `trouble`: the DNS could not be asked, so this is unknown. */
  readonly result: 'pass' | 'trouble'
}

export interface DmarcVerdict {
  readonly result: DmarcResult
  /** What the owner wants done with failures, after sp=, np= and t=; undefined: nothing is published. */
  readonly policy: Policy | undefined
  /** Of the author's domain; undefined where nothing is published, or it is unknown. */
  readonly organization: string | undefined
  /** Where that stands; undefined as above. */
  readonly published: RecordAt | undefined
  /** Which of them speak for the author. Both are known only where the record asks for reports. */
  readonly aligned: Readonly<Record<Identity['by'], boolean>>
  /** Every step, for a person. */
  readonly thoughts: readonly string[]
}

export function* evaluateAuthor(domain: string, identities: readonly Identity[]): Asking<DmarcVerdict> {
  const thoughts = [`the author's domain is ${domain}`]
  const walks = new Map<string, Walk>()
  const own = yield* walk(domain, walks, thoughts)
  const aligned = { dkim: false, spf: false }
  const verdict = (result: DmarcResult, policy?: Policy): DmarcVerdict => {
    const known = policy === undefined ? undefined : published
    return { result, policy, organization: known && own.organization, published: known, aligned, thoughts }
  }
  const published = policyRecord(domain, own)
  if (own.trouble !== undefined) return verdict('temperror')
  if (published === undefined || published.record.policy === undefined) {
    thoughts.push(published === undefined ? 'nobody has published a policy for it' : 'the record asks for nothing')
    return verdict('none')
  }
  const wanted = yield* policyFor(domain, published, thoughts)
  if (wanted === undefined) return verdict('temperror')
  const { isTest, isDkimStrict, isSpfStrict } = published.record
  const policy = isTest ? milder(wanted) : wanted
  if (isTest) thoughts.push(`t=y: the owner only tries, and wants ${policy} instead of ${wanted}`)
  let isUncertain = false
  const isPass = (): boolean => aligned.dkim || aligned.spf
  for (const identity of identities) {
    // One is enough, but for reports.
    if (aligned[identity.by] || (isPass() && published.record.reportsTo === '')) continue
    const isStrict = identity.by === 'dkim' ? isDkimStrict : isSpfStrict
    const speaks = yield* isAligned(identity, domain, own, isStrict, walks, thoughts)
    if (speaks === true && identity.result === 'pass') aligned[identity.by] = true
    else if (speaks === undefined || speaks) isUncertain = true
  }
  if (isPass()) return verdict('pass', policy)
  thoughts.push(
    isUncertain
      ? 'what could speak for the author could not be asked: nobody knows'
      : "no signature that is good, and no pass of SPF, is of the author's organization",
  )
  return verdict(isUncertain ? 'temperror' : 'fail', policy)
}

function* walk(domain: string, walks: Map<string, Walk>, thoughts: string[]): Asking<Walk> {
  const known = walks.get(domain)
  if (known !== undefined) return known
  const walked = yield* walkFrom(domain)
  walks.set(domain, walked)
  for (const { domain: name, record } of walked.records) thoughts.push(`_dmarc.${name} says ${record.text}`)
  thoughts.push(
    walked.trouble === undefined
      ? `${domain} belongs to the organization ${walked.organization}`
      : `the organization of ${domain} is not known now: ${walked.trouble}`,
  )
  return walked
}

/** §4.10.1: the author's own record, else the organization's, else that of the public suffix. */
function policyRecord(domain: string, { records, organization }: Walk): RecordAt | undefined {
  return (
    records.find((at) => at.domain === domain) ??
    records.find((at) => at.domain === organization) ??
    records.find((at) => at.record.isSuffix === true)
  )
}

/** Undefined: unknown. */
function* policyFor(domain: string, { domain: at, record }: RecordAt, thoughts: string[]): Asking<Policy | undefined> {
  const { policy, subdomains, absent } = record
  if (at === domain) return policy
  const forExisting = subdomains ?? policy
  if (absent === undefined || absent === forExisting) {
    thoughts.push(`for names below it, ${at} wants ${forExisting}`)
    return forExisting
  }
  const answer = yield domain
  if (answer.kind === 'trouble') {
    thoughts.push(`whether ${domain} exists is not known now: ${answer.why}`)
    return undefined
  }
  const wanted = answer.kind === 'absent' ? absent : forExisting
  thoughts.push(
    `${domain} ${answer.kind === 'absent' ? 'does not exist' : 'exists'}: for such names below it, ${at} wants ${wanted}`,
  )
  return wanted
}

/** Undefined: unknown. */
function* isAligned(
  identity: Identity,
  author: string,
  own: Walk,
  isStrict: boolean,
  walks: Map<string, Walk>,
  thoughts: string[],
): Asking<boolean | undefined> {
  const { by, domain, result } = identity
  const who = result === 'pass' ? `${by} passes for ${domain}` : `${by} could not be evaluated for ${domain}`
  if (domain === author) {
    thoughts.push(`${who}, the author's own domain`)
    return true
  }
  if (isStrict) {
    thoughts.push(`${who}; the record wants the author's domain and no other (a${by}=s)`)
    return false
  }
  // All domains of an organization are below it: a stranger's name servers, which may say anything, are not asked.
  if (domain !== own.organization && !domain.endsWith(`.${own.organization}`)) {
    thoughts.push(`${who}, which is not of the organization ${own.organization}`)
    return false
  }
  const theirs = yield* walk(domain, walks, thoughts)
  if (theirs.trouble !== undefined) return undefined
  const isSame = theirs.organization === own.organization
  thoughts.push(`${who}, ${isSame ? 'of the same organization' : 'of another organization'}`)
  return isSame
}

function milder(policy: Policy): Policy {
  return policies[Math.max(0, policies.indexOf(policy) - 1)] ?? 'none'
}
