/** The check of the stage `content` for a message's origin: SPF, DKIM, DMARC. Hashes the body while it arrives, has policy
 *  evaluate after the last byte, and decides what the findings mean.
 *  Knows:  control/dmarcaction and trustedforwarders, the field with the findings (RFC 8601), the line in the log.
 *  Never:  checks clients that may relay: their mail is their own.
 *  Fails:  without an answer the message is accepted unchecked: our trouble must not become the sender's. */
import type { ByteString } from '../../base/byte-string.ts'
import { done, failed, type Failure, type Outcome, permanent } from '../../base/outcome.ts'
import { BodyDigests } from '../../clients/policy/body-digests.ts'
import type { Answered, PolicyClient } from '../../clients/policy/policy-client.ts'
import type { Added, ContentReader, ReadHeader } from '../../clients/queue/reading-enqueuer.ts'
import { noParams, quarantineParam } from '../../contracts/envelope.ts'
import type { AuthAnswer } from '../../contracts/policy.ts'
import { authHeaderBytesMax } from '../../contracts/policy-auth.ts'
import { authenticationResults, type MethodResult } from '../../protocols/auth-results/field.ts'
import { type Disposition, disposition, readDmarcAction } from '../../protocols/dmarc/disposition.ts'
import { isNetwork, NetworkList } from '../../protocols/qmail/network-list.ts'
import { clientIp } from '../../protocols/qmail/tcp-environment.ts'
import type { Control } from '../../stores/control/control.ts'
import { resultsId } from '../../stores/control/own-results.ts'
import type { Clock } from '../../system/clock.ts'
import type { ContentCheck, ContentFacts } from './session-gate.ts'

export interface AuthenticationParts {
  readonly control: Pick<Control, 'line' | 'list' | 'optionalLine'>
  readonly clock: Clock
  readonly policy: Pick<PolicyClient, 'acted' | 'auth' | 'name'>
}

export function authenticating(parts: AuthenticationParts): ContentCheck {
  return (content) => (content.environment.has('RELAYCLIENT') ? undefined : new AuthenticationReader(parts, content))
}

class AuthenticationReader implements ContentReader {
  readonly headerBytesMax: number = authHeaderBytesMax
  private readonly parts: AuthenticationParts
  private readonly content: ContentFacts
  private text: ByteString = ''
  private digests = new BodyDigests([])

  constructor(parts: AuthenticationParts, content: ContentFacts) {
    this.parts = parts
    this.content = content
  }

  header({ text, fields }: ReadHeader): void {
    this.text = text
    this.digests = new BodyDigests(fields)
  }

  body(bytes: Buffer): void {
    this.digests.push(bytes)
  }

  async verdict(): Promise<Outcome<Added>> {
    const { clock } = this.parts
    const began = clock.monotonic()
    const answered = await this.ask()
    if (!answered.answered) return this.unanswered(answered.why)
    const { answer } = answered
    const decided = await this.decide(answer)
    const did = decided.action === 'none' ? '' : ` dis=${decided.action}`
    this.content.log(`auth: ${answer.logText}${did} ${(clock.monotonic() - began).toFixed(1)}ms`)
    this.tell(answer, decided)
    const { receipt } = answer
    if (receipt !== 0) this.parts.policy.acted({ receipt, action: decided.action, reason: decided.reason ?? 'none' })
    if (decided.failure !== undefined) return failed(decided.failure)
    const params = decided.action === 'quarantine' ? new Map([[quarantineParam, 'dmarc']]) : noParams
    return done({ head: this.field(resultsOf(answer, decided, this.content)), params })
  }

  abandon(): void {
    this.digests = new BodyDigests([])
  }

  private ask(): Promise<Answered<AuthAnswer>> {
    const { facts, environment, explains } = this.content
    return this.parts.policy.auth({
      ip: clientIp(environment),
      helo: facts.helo,
      sender: facts.sender,
      refuseOpenPass: environment.has('SPP_SPF_DONT_ALLOW_RANDOM_IP_PASS'),
      header: this.text,
      bodies: this.digests.finish(),
      explain: explains,
    })
  }

  private async decide(answer: AuthAnswer): Promise<Decision> {
    const most = readDmarcAction(this.parts.control.line('dmarcaction'))
    const { isFromList } = answer
    const evaluated = { ...answer, result: answer.dmarc }
    const of = (isTrusted: boolean): Disposition =>
      disposition(evaluated, most, { isTrusted, isFromList, isBounce: this.content.facts.sender === '' })
    const unknown = of(false)
    // Looking up the client's name may take time.
    const decided = unknown.action !== 'none' && (await this.isTrusted()) ? of(true) : unknown
    if (decided.action !== 'reject') return decided
    const { author, whyNoAuthor } = answer
    return { ...decided, failure: author === '' ? noAuthor(whyNoAuthor) : notTheAuthor(author) }
  }

  /** A host's name counts only if it leads back to the address: anyone can give any name to their address. */
  private async isTrusted(): Promise<boolean> {
    const lines = this.parts.control.list('trustedforwarders') ?? []
    const ip = clientIp(this.content.environment)
    const networks = lines.filter(isNetwork)
    if (
      new NetworkList(
        'trustedforwarders',
        () => networks,
        () => undefined,
      ).has(ip)
    )
      return true
    const names = lines.filter((line) => !isNetwork(line)).map((line) => line.toLowerCase())
    if (names.length === 0 || ip === '') return false
    const answered = await this.parts.policy.name({ ip, confirm: true })
    return answered.answered && answered.answer.leadsBack && names.includes(answered.answer.name)
  }

  private unanswered(why: string): Outcome<Added> {
    this.content.log(`auth: no answer: ${why}`)
    this.content.tell({ check: 'auth', rule: 'policy', text: `no answer, taken as it is: ${why}` })
    const unknown = { method: 'dkim', result: 'temperror', comment: 'nobody could be asked', properties: [] }
    return done({ head: this.digests.isSigned ? this.field([unknown]) : '', params: noParams })
  }

  private tell(answer: AuthAnswer, { action, why }: Disposition): void {
    for (const thought of answer.thoughts) {
      const colon = thought.indexOf(': ')
      this.content.tell({ check: thought.slice(0, colon), rule: answer.rule, text: thought.slice(colon + 2) })
    }
    const words = { none: 'nothing is done', quarantine: 'would be kept apart', reject: 'would be refused' } as const
    this.content.tell({ check: 'dmarc', rule: 'control/dmarcaction', text: `${words[action]}: ${why}` })
  }

  private field(results: readonly MethodResult[]): ByteString {
    return authenticationResults(resultsId(this.parts.control), results)
  }
}

interface Decision extends Disposition {
  readonly failure?: Failure
}

/** RFC 5322 §3.6: exactly one From. Mail readers differ in which of several they show, and DMARC could evaluate none. */
function noAuthor(why: string): Failure {
  return permanent('6.0', `sorry, I cannot tell who wrote this message: ${why}`, `auth: ${why}`)
}

function notTheAuthor(author: ByteString): Failure {
  const words = `sorry, the DMARC policy of ${author} forbids this message: neither DKIM nor SPF speaks for its author`
  return { ...permanent('7.1', words, `auth: DMARC policy of ${author}`), replyCode: 550 }
}

function resultsOf(answer: AuthAnswer, { action }: Decision, { facts }: ContentFacts): MethodResult[] {
  const { spf, signatures, skipped, dmarc, author, policy, whyNoAuthor } = answer
  const isHelo = facts.sender === ''
  const identity = isHelo ? facts.helo : facts.sender
  const results: MethodResult[] = []
  if (identity !== '')
    results.push({
      method: 'spf',
      result: spf,
      comment: '',
      properties: [[isHelo ? 'smtp.helo' : 'smtp.mailfrom', identity]],
    })
  for (const { result, reason, domain, selector, mark } of signatures)
    results.push({
      method: 'dkim',
      result,
      comment: reason,
      properties: [
        ['header.d', domain],
        ['header.s', selector],
        ['header.b', mark],
      ],
    })
  if (signatures.length === 0) results.push({ method: 'dkim', result: 'none', comment: '', properties: [] })
  if (skipped > 0)
    results.push({ method: 'dkim', result: 'policy', comment: `${skipped} more not looked at`, properties: [] })
  results.push({
    method: 'dmarc',
    result: dmarc,
    comment: author === '' ? `${whyNoAuthor}, dis=${action}` : policy === undefined ? '' : `p=${policy} dis=${action}`,
    properties: [
      ['header.from', author],
      ['policy.dmarc', policy ?? ''],
    ],
  })
  return results
}
