/** Answers `auth`: who signed a message, whom SPF permits, and whether its author is genuine (RFC 6376, 7208, 9989).
 *  Knows:  where keys and policies are looked up, and how long that may take.
 *  Never:  sees a body, only its digests; what the findings mean for the mail.
 *  Fails:  `temperror` for what the DNS does not answer in time. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { asciiForm } from '../../system/ascii-form.ts'
import type { Answer, RecordDns } from '../../clients/dns/dns.ts'
import type { AuthAnswer } from '../../contracts/policy.ts'
import type { AuthFindings, AuthQuestion } from '../../contracts/policy-auth.ts'
import { isName, dmarcAuthor } from '../../protocols/dkim/author-domain.ts'
import { headerFields, valueOf } from '../../protocols/dkim/header-fields.ts'
import { type SignatureVerdict, type Verdict, verifySignatures } from '../../protocols/dkim/verify.ts'
import { mailAddresses } from '../../protocols/dmarc/report-destinations.ts'
import type { TextAnswer } from '../../protocols/dmarc/tree-walk.ts'
import { type DmarcVerdict, type Identity, evaluateAuthor } from '../../protocols/dmarc/verdict.ts'
import { isReport } from '../../protocols/reports/is-report.ts'
import type { Clock } from '../../system/clock.ts'
import { checkSignature } from '../../system/signatures.ts'
import { authFirstMillisecondsMax, authMillisecondsMax } from './limits.ts'
import type { EvaluatedMessage } from './evaluation-log.ts'
import type { SpfCheck } from './spf-check.ts'
import { untilDeadline } from './until-deadline.ts'

/** Of a DNS name, valid or not. */
const nameBytesMax = 253

export interface AuthParts {
  readonly dns: Pick<RecordDns, 'txt'>
  readonly clock: Clock
  readonly spf: Pick<SpfCheck, 'resultFor'>
  /** For reports; returns the receipt, or 0. Undefined: no reports are made. */
  readonly onEvaluated?: (message: EvaluatedMessage) => number
}

interface Spf {
  readonly result: AuthFindings['spf']
  /** Of the sender, or of HELO; empty: neither names one. */
  readonly domain: string
}

export class AuthCheck {
  private readonly parts: AuthParts

  constructor(parts: AuthParts) {
    this.parts = parts
  }

  async answer(question: AuthQuestion): Promise<AuthAnswer> {
    const { clock } = this.parts
    const began = clock.monotonic()
    const first = began + authFirstMillisecondsMax
    const [spf, dkim] = await Promise.all([this.spf(question, first), this.dkim(question, first)])
    const author = dmarcAuthor(question.header, asciiForm)
    const dmarc =
      author.domain === undefined
        ? undefined
        : await this.dmarc(author.domain, identitiesOf(spf, dkim), began + authMillisecondsMax)
    const findings: AuthFindings = {
      spf: spf.result,
      signatures: dkim.signatures,
      skipped: dkim.skipped,
      dmarc: dmarc?.result ?? 'permerror',
      author: author.domain ?? '',
      whyNoAuthor: author.domain === undefined ? author.why : '',
      isAmbiguous: author.domain === undefined && author.authors === 'several',
      policy: dmarc?.policy,
      isFromList: isFromList(question.header, dkim),
      receipt: 0,
      thoughts: [],
    }
    const thoughts = question.explain ? thoughtsAbout(findings, spf, dmarc) : []
    return {
      kind: 'auth',
      rule: author.domain === undefined ? 'RFC 5322 3.6' : `TXT _dmarc.${author.domain}`,
      logText: logText(findings),
      freshMilliseconds: 0,
      ...findings,
      receipt: question.explain ? 0 : this.receipt(question, author.domain, findings, spf, dmarc),
      thoughts,
    }
  }

  /** Receipt of a message whose author's domain wants reports. */
  private receipt(
    { ip, sender, header }: AuthQuestion,
    author: ByteString | undefined,
    { signatures, dmarc: result }: AuthFindings,
    spf: Spf,
    dmarc: DmarcVerdict | undefined,
  ): number {
    const { onEvaluated } = this.parts
    const published = dmarc?.published
    if (onEvaluated === undefined || published === undefined || author === undefined || ip === '') return 0
    if ((result !== 'pass' && result !== 'fail') || mailAddresses(published.record.reportsTo).length === 0) return 0
    const { policy = 'none', subdomains, absent, isDkimStrict, isSpfStrict, isTest, reportsTo } = published.record
    const name = (text: ByteString): string => lowerAscii(text).slice(0, nameBytesMax)
    return onEvaluated({
      published: { domain: published.domain, policy, subdomains, absent, isDkimStrict, isSpfStrict, isTest },
      reportsTo,
      isPass: result === 'pass',
      isOptional: sender === '' || isReport(headerFields(header)),
      found: {
        ip,
        dkim: dmarc?.aligned.dkim === true,
        spf: dmarc?.aligned.spf === true,
        from: author,
        sender: name(sender.slice(sender.lastIndexOf('@') + 1)),
        signatures: signatures
          .filter(({ domain }) => domain !== '')
          .map(({ domain, selector, result: one }) => ({
            domain: name(domain),
            selector: name(selector),
            result: one,
          })),
        // RFC 9990 has only RFC 7208's words.
        spfResult:
          spf.domain === ''
            ? undefined
            : { domain: name(spf.domain), result: spf.result === 'policy' ? 'neutral' : spf.result },
      },
    })
  }

  private async spf({ ip, helo, sender, refuseOpenPass }: AuthQuestion, deadline: number): Promise<Spf> {
    if (ip === '' || (sender === '' && helo === '')) return { result: 'none', domain: '' }
    const evaluating = this.parts.spf.resultFor({ ip, helo, sender, refuseOpenPass })
    const evaluated = await untilDeadline(this.parts.clock, deadline, evaluating)
    const identity = sender === '' ? helo : sender.slice(sender.lastIndexOf('@') + 1)
    const domain = lowerAscii(asciiForm(identity.replace(/\.$/, '')))
    if (evaluated === undefined) return { result: 'temperror', domain }
    return { result: evaluated.openToAll ? 'policy' : evaluated.result, domain }
  }

  private async dkim({ header, bodies }: AuthQuestion, deadline: number): Promise<Verdict> {
    return await verifySignatures(header, bodies, {
      keys: async (name) => {
        const answer = await this.texts(name, deadline)
        return answer.kind === 'none' ? { kind: 'absent' } : answer
      },
      check: checkSignature,
      now: Math.floor(this.parts.clock.now() / 1000),
    })
  }

  private async dmarc(author: string, identities: readonly Identity[], deadline: number): Promise<DmarcVerdict> {
    const steps = evaluateAuthor(author, identities)
    let step = steps.next()
    while (step.done !== true) step = steps.next(await this.texts(step.value, deadline))
    return step.value
  }

  /** `deadline`: on the monotonic clock. */
  async texts(name: string, deadline: number): Promise<TextAnswer> {
    const answer = await untilDeadline(this.parts.clock, deadline, this.parts.dns.txt(name))
    return answer === undefined ? { kind: 'trouble', why: 'no answer in time' } : textAnswer(answer)
  }
}

function textAnswer(answer: Answer<ByteString>): TextAnswer {
  switch (answer.kind) {
    case 'found':
      return { kind: 'found', texts: answer.values }
    case 'none':
      return { kind: 'none' }
    case 'hard':
      return { kind: 'absent' }
    case 'soft':
      return { kind: 'trouble', why: answer.why }
  }
}

/** Passing identities come first, which saves the other lookups. */
function identitiesOf(spf: Spf, { signatures }: Verdict): Identity[] {
  const resultOf = (result: string): Identity['result'] | undefined =>
    result === 'pass' ? 'pass' : result === 'temperror' ? 'trouble' : undefined
  const found = [
    ...signatures.map(({ domain, result }) => ({ by: 'dkim' as const, domain, result: resultOf(result) })),
    { by: 'spf' as const, domain: spf.domain, result: resultOf(spf.result) },
  ]
  const known = found.flatMap(({ by, domain, result }) =>
    result === undefined || !isName(domain) ? [] : [{ by, domain, result }],
  )
  return known.toSorted((one, other) => Number(one.result === 'trouble') - Number(other.result === 'trouble'))
}

const listFieldBytesMax = 1000

/** RFC 2919, RFC 2369: the message names its list, and the list's host has signed it. */
function isFromList(header: ByteString, { signatures }: Verdict): boolean {
  const named = headerFields(header)
    .filter(({ name }) => name === 'list-id' || name === 'list-post')
    .map((field) => {
      const id = /<([^<>]*)>[^<>]*$/.exec(valueOf(field).slice(-listFieldBytesMax))?.[1] ?? ''
      return lowerAscii(id.slice(id.lastIndexOf('@') + 1))
    })
  return signatures.some(
    ({ result, domain }) =>
      result === 'pass' && named.some((list) => `.${list}`.endsWith(`.${domain}`) && domain.includes('.')),
  )
}

function dkimText({ result, domain, selector }: SignatureVerdict): string {
  return domain === '' ? result : `${result}(${domain}/${selector})`
}

function logText({ spf, signatures, skipped, dmarc, policy, author }: AuthFindings): string {
  const dkim =
    signatures.length === 0 ? 'none' : signatures.map((one) => dkimText({ ...one, algorithm: undefined })).join(',')
  const more = skipped === 0 ? '' : `,${skipped} more`
  const wanted = policy === undefined ? '' : ` policy=${policy}`
  return `spf=${spf} dkim=${dkim}${more} dmarc=${dmarc}${wanted} from=${author === '' ? '?' : author}`
}

function thoughtsAbout(findings: AuthFindings, spf: Spf, dmarc: DmarcVerdict | undefined): string[] {
  const { signatures, skipped, whyNoAuthor } = findings
  return [
    spf.domain === '' ? 'spf: nobody is named whom it could check' : `spf: ${spf.result} for ${spf.domain}`,
    ...signatures.map((one) => {
      const who = one.domain === '' ? 'a signature' : `the signature of ${one.domain} (selector ${one.selector})`
      return `dkim: ${who}: ${one.result}${one.reason === '' ? '' : `, ${one.reason}`}`
    }),
    ...(signatures.length === 0 ? ['dkim: it is not signed'] : []),
    ...(skipped === 0 ? [] : [`dkim: ${skipped} more signatures are not looked at`]),
    ...(dmarc === undefined ? [`dmarc: ${whyNoAuthor}: there is no author to be evaluated`] : []),
    ...(dmarc?.thoughts ?? []).map((thought) => `dmarc: ${thought}`),
    ...(dmarc === undefined ? [] : [`dmarc: ${dmarc.result}${policyText(dmarc)}`]),
  ].map((line) => line.replaceAll('’', "'").replace(/[^ -~]/g, '?'))
}

function policyText({ policy }: DmarcVerdict): string {
  return policy === undefined ? '' : `; of failures the owner wants: ${policy}`
}
