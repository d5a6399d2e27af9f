/** Makes each session's gate from the present control files, with the clients that its checks use.
 *  Without control/smtpplugins the plug-ins are pkgsrc's: SPF at MAIL, recipient checks at RCPT; without
 *  control/rcptchecks the recipient check is realrcptto. An empty file is none. */
import type { ByteString } from '../../base/byte-string.ts'
import type { CheckTools } from './plug-ins/recipient-check.ts'
import type { Executor } from '../../clients/execute/client.ts'
import type { Answered, PolicyClient } from '../../clients/policy/policy-client.ts'
import type { EnqueueClient } from '../../clients/queue/enqueue.ts'
import type { RecipientClient } from '../../clients/recipients/recipient-client.ts'
import { builtInPlugIns } from './plug-ins/built-ins.ts'
import { planPlugIns } from './plug-ins/plan.ts'
import { SppSession } from './plug-ins/session.ts'
import type { BuiltIn, StageTools } from './plug-ins/stage.ts'
import type { GreylistAnswer } from '../../contracts/policy.ts'
import { defaultDnsLists } from '../../protocols/dnsbl/dnsbl.ts'
import { type GreylistFacts, planGreylist, isLogged } from '../../protocols/greylist/plan.ts'
import type { CheckVerdict } from '../../protocols/qmail/rcptchecks.ts'
import { routeRecipient, type RoutingTables } from '../../protocols/qmail/routing.ts'
import { coded, refusal as replyFor, type Reply } from '../../protocols/smtp/replies.ts'
import { spfCommands, spfQuestion } from '../../protocols/spf/spp.ts'
import type { Control } from '../../stores/control/control.ts'
import { isOwnSrsAddress } from '../../stores/control/srs-address.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import { ClientLists } from './client-lists.ts'
import type { Finding } from '../../servers/listener/finding.ts'
import type { Gate } from './gate.ts'
import { type Environment, isLoopback } from '../../servers/listener/peer.ts'
import { type Audience, type ContentCheck, SessionGate } from './session-gate.ts'

const defaultPlugIns: readonly ByteString[] = ['[mail]', 'qmail-spp-spf', '[rcpt]', 'qmail-rcptcheck']
const defaultChecks: readonly ByteString[] = ['qmail-rcptcheck-realrcptto']
const greylisted = coded(451, '4.7.1', 'greylisted, retry later')
const greylistWords = {
  new: 'is new: refused; tried now, it would be accepted from',
  young: 'came before: refused; accepted from',
  known: 'is known: accepted; forgotten if it does not come again before',
} as const
const none: readonly ByteString[] = []
const verdictOf = { exists: 'accept', absent: 'refuse', full: 'full', unknown: 'unknown' } as const

type Tell = (finding: Finding) => void

export interface GateParts {
  readonly control: Control
  readonly clock: Clock
  readonly log: Log
  readonly executor: Executor
  /** Relative to the home; undefined if there is no such file. */
  readonly readFile: (name: ByteString) => Buffer | undefined
  readonly policy: Pick<PolicyClient, 'spf' | 'dnsbl' | 'greylist'>
  /** Undefined: this host delivers nothing locally. */
  readonly recipients: Pick<RecipientClient, 'find'> | undefined
  /** Verifies SRS addresses. */
  readonly queue: Pick<EnqueueClient, 'checkAddresses'>
  /** Asked about each message when it is whole, in this order. */
  readonly contentChecks?: readonly ContentCheck[]
  /** The queue's routing tables; undefined without locals and me. */
  tables(): RoutingTables | undefined
}

export class Gates {
  private readonly parts: GateParts
  private readonly tools: StageTools

  constructor(parts: GateParts) {
    this.parts = parts
    this.tools = this.toolsWith(() => undefined, parts.log, false)
  }

  open(environment: Environment): Gate {
    return this.gate(environment, this.tools, { tell: () => undefined, log: this.parts.log, explains: false })
  }

  /** For `explain`: every check reports its finding, greylists are not changed, and nothing is logged. */
  openTelling(environment: Environment, tell: Tell): Gate {
    const log = (): void => undefined
    return this.gate(environment, this.toolsWith(tell, log, true), { tell, log, explains: true })
  }

  private gate(environment: Environment, tools: StageTools, audience: Audience): Gate {
    const { control, policy } = this.parts
    const dnsbls = control.list('dnsbls')
    const lists = {
      lists: dnsbls ?? defaultDnsLists,
      listsFrom: dnsbls === undefined ? 'default, no control/dnsbls' : 'control/dnsbls',
      refusedFromScore: control.number('dnsblscore'),
      fieldName: control.optionalLine('dnsblheader'),
    }
    const isLocal = isLoopback(environment.get('TCPREMOTEIP') ?? '')
    const listed = control.list('smtpplugins')
    const plan = planPlugIns(environment, listed ?? defaultPlugIns, this.parts.readFile)
    const isDefault = listed === undefined && plan.decidedBy === 'control/smtpplugins'
    const plugInsFrom = isDefault ? 'default, no control/smtpplugins' : plan.decidedBy
    const spp = new SppSession(plan.plugIns, environment, tools)
    const client = new ClientLists(environment, isLocal, lists, policy)
    return new SessionGate(client, spp, this.parts.contentChecks ?? [], plugInsFrom, audience, (sender, recipient) =>
      this.checkSrs(sender, recipient, (finding) => audience.tell(finding)),
    )
  }

  private toolsWith(tell: Tell, log: Log, onlyLooks: boolean): StageTools {
    return {
      executor: this.parts.executor,
      // SPF asks nothing about a client that may relay.
      isIdle: (name, environment) => name === 'qmail-spp-spf' && environment.has('RELAYCLIENT'),
      builtIn: builtInPlugIns({
        check: this.checkTools(tell, log),
        spf: this.spf(tell, log),
        greylisting: this.greylisting(false, tell, log, onlyLooks),
        greylistingWrapper: this.greylisting(true, tell, log, onlyLooks),
      }),
    }
  }

  private checkTools(tell: Tell, log: Log): CheckTools {
    const { control, executor } = this.parts
    return {
      executor,
      log,
      files: () => ({
        rcptchecks: control.list('rcptchecks') ?? defaultChecks,
        badrcptto: control.list('badrcptto') ?? none,
        badhelo: control.list('badhelo') ?? none,
        badmailfrom: control.list('badmailfrom') ?? none,
        badmailfromnorelay: control.list('badmailfromnorelay') ?? none,
        badmailto: control.list('badmailto') ?? none,
        badmailtonorelay: control.list('badmailtonorelay') ?? none,
      }),
      isDeliverable: (recipient) => this.isDeliverable(recipient, tell),
      tell({ verdict, check, decidedBy, text }) {
        const name = check.slice(check.lastIndexOf('/') + 1).replace('qmail-rcptcheck-', '')
        // realrcptto has reported its own finding.
        if (verdict !== 'accept' && name !== 'realrcptto') tell({ check: name, rule: decidedBy, text })
      },
    }
  }

  /** qmail-rcptcheck-realrcptto, answered by the code that routes and delivers. */
  private async isDeliverable(recipient: ByteString, tell: Tell): Promise<CheckVerdict> {
    const tables = this.parts.tables()
    if (tables === undefined || this.parts.recipients === undefined) return 'accept'
    // The queue has verified it.
    if (isOwnSrsAddress(this.parts.control, recipient)) return 'accept'
    const { channel, address } = routeRecipient(recipient, tables)
    if (channel === 'remote') {
      tell({ check: 'realrcptto', rule: 'control/locals, control/virtualdomains', text: 'not local, not checked' })
      return 'accept'
    }
    const { verdict, rule } = await this.parts.recipients.find(address)
    tell({ check: 'realrcptto', rule, text: `local as ${address}: ${verdict}` })
    return verdictOf[verdict]
  }

  /** Undefined: not an SRS address of ours. */
  private checkSrs(sender: ByteString, recipient: ByteString, tell: Tell): Promise<Reply | undefined> | undefined {
    if (!isOwnSrsAddress(this.parts.control, recipient)) return undefined
    return this.parts.queue.checkAddresses(sender, recipient).then((checked) => {
      const text = checked.done ? 'good' : checked.failure.logText
      tell({ check: 'srs', rule: 'control/srs_domain', text: `(${sender},${recipient}): ${text}` })
      if (checked.done) return undefined
      const reply = replyFor(checked.failure)
      return checked.failure.class === 5 ? { ...reply, code: 550 } : reply
    })
  }

  private spf(tell: Tell, log: Log): BuiltIn {
    return async (environment) => {
      const sender = environment.get('SMTPMAILFROM') ?? ''
      const question = spfQuestion(environment, sender, environment.get('SMTPHELOHOST') ?? '')
      if (question === undefined) return []
      const answered = await this.parts.policy.spf(question)
      const text = answered.answered
        ? answered.answer.logText
        : `qmail-spp-spf:${question.ip}: no answer: ${answered.why}`
      tell({ check: 'spf', rule: answered.answered ? answered.answer.rule : 'policy', text })
      log(text)
      return spfCommands(answered.answered ? answered.answer : undefined, environment)
    }
  }

  private greylisting(isWrapper: boolean, tell: Tell, log: Log, onlyLooks: boolean): BuiltIn {
    return async (environment) => {
      const { control, policy } = this.parts
      const recipient = environment.get('SMTPRCPTTO')
      if (recipient === undefined) return []
      const exemptions = {
        recipients: control.list('greylist/exemptrcpts') ?? none,
        hosts: control.list('greylist/exemptrcpthosts') ?? none,
      }
      const facts: GreylistFacts = { variables: environment, sender: environment.get('SMTPMAILFROM') ?? '', recipient }
      const plan = planGreylist(isWrapper ? { ...facts, exemptions } : facts)
      if (plan.kind === 'skip') {
        tell({ check: 'greylist', rule: plan.rule, text: plan.logText })
        if (plan.rule.startsWith('control/')) log(plan.logText)
        return []
      }
      const { kind: _, ...question } = plan
      const answered = await policy.greylist({ ...question, onlyLook: onlyLooks })
      if (onlyLooks) tell(greylistFinding(answered, plan))
      if (!answered.answered) return []
      const { state, refuseAtData, logText } = answered.answer
      if (!onlyLooks && isLogged(state, environment)) log(logText)
      if (state === 'known') return []
      const refusal = { reply: greylisted } as const
      return [refuseAtData ? { ...refusal, kind: 'save', savedFor: 'data' } : { ...refusal, kind: 'refuse' }]
    }
  }
}

/** What would happen, and until when. */
function greylistFinding(
  answered: Answered<GreylistAnswer>,
  { ip, sender, recipient }: { readonly ip: string; readonly sender: ByteString; readonly recipient: ByteString },
): Finding {
  const triple = `(${ip},${sender},${recipient})`
  if (!answered.answered)
    return { check: 'greylist', rule: 'policy', text: `${triple}: no answer, let through: ${answered.why}` }
  const { state, untilMs, rule } = answered.answer
  return { check: 'greylist', rule, text: `${triple} ${greylistWords[state]} ${new Date(untilMs).toISOString()}` }
}
