/** One attempt: the route, the next address, the connection, the recipients of further transactions, the reports.
 *  Knows:  when another address is tried (no connection, no session, one that closes before it has judged the message) and when
 *          not (any other answer to the message), when a kept connection is used, what is left out because the host cannot do
 *          it. A refusal that our grouping of recipients or our use of a connection may have provoked is not final: a smaller
 *          transaction, or a fresh connection, follows at once.
 *  Never:  sends a message again that may have been accepted.
 *  Fails:  always with one status for each recipient. */
import { type ByteString, fromText, toText } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import type { ConnectionPool, Kept } from '../../clients/smtp/connection-pool.ts'
import type { SmtpConnection, TimeLimits } from '../../clients/smtp/connection.ts'
import type { DeadHosts } from '../../clients/smtp/dead-hosts.ts'
import type { Deadlines } from '../../clients/smtp/deadlines.ts'
import type { MailExchangers, Target, Targets } from '../../clients/smtp/mail-exchangers.ts'
import { findLogin, type Login } from '../../clients/smtp/secrets.ts'
import { type Opened, openSession, type SessionWish } from '../../clients/smtp/session.ts'
import type { TlsContexts } from '../../clients/smtp/tls-contexts.ts'
import { type HostPolicy, planKey, type TlsPlan } from '../../clients/smtp/tls-plan.ts'
import { reportTransaction } from '../../clients/smtp/transaction-report.ts'
import { type OpenContent, transact, type TransactionResult } from '../../clients/smtp/transaction.ts'
import { remoteStatus } from '../../protocols/qmail/remote-status.ts'
import { chooseRoute } from '../../protocols/qmail/smtproutes.ts'
import type { OutgoingEnvelope } from '../../protocols/smtp/client-commands.ts'
import { isMailDomain } from '../../protocols/smtp/mail-domain.ts'
import { DemandedTls, type DemandedTlsParts } from './demanded-tls.ts'
import { forNow, groupAfter, isProvokedByUse, isUnchecked } from './further-transactions.ts'
import type { HostShares } from './host-shares.ts'
import type { Settings } from './settings.ts'
import { saysTlsNotRequired } from './tls-not-required.ts'
import type { WaryHosts } from './wary-hosts.ts'

/** Up to the final dot: a base, and time for the content at the least acceptable speed. */
const attemptMillisecondsMax: number = 10 * 60_000
const contentBytesPerSecondMin: number = 8 * 1024
/** What any server must take in one transaction (RFC 5321 §4.5.3.1.8). */
const transactionRecipientsMax = 100
const misreadShownMax = 200

export interface Equipment extends DemandedTlsParts {
  readonly exchangers: MailExchangers
  readonly deadlines: Deadlines
  readonly pool: ConnectionPool
  readonly deadHosts: DeadHosts
  readonly hostShares: HostShares
  /** Hosts that lose pipelined commands. */
  readonly patientHosts: WaryHosts
  readonly contexts: TlsContexts
}

/** `crowded`: nothing was tried, because the host has its share of attempts already running. */
export type Delivered = readonly Status[] | 'crowded'

/** All recipients are of one domain; `host` replaces it where it is given. */
export async function deliver(
  envelope: OutgoingEnvelope,
  content: OpenContent,
  settings: Settings,
  equipment: Equipment,
  host?: ByteString,
): Promise<Delivered> {
  return await new Delivery(envelope, content, settings, equipment, host).run()
}

class Delivery {
  private readonly envelope: OutgoingEnvelope
  private readonly content: OpenContent
  private readonly settings: Settings
  private readonly equipment: Equipment
  private readonly host: ByteString | undefined
  private readonly limits: TimeLimits
  private readonly statuses: Status[]
  private login: Login | undefined
  private isRouted = false
  private readonly tls: DemandedTls

  constructor(
    envelope: OutgoingEnvelope,
    content: OpenContent,
    settings: Settings,
    equipment: Equipment,
    host: ByteString | undefined,
  ) {
    this.host = host
    this.envelope = envelope
    this.content = content
    this.settings = settings
    this.equipment = equipment
    this.tls = new DemandedTls(equipment, settings, envelope.params.has('REQUIRETLS'))
    const contentMilliseconds = (envelope.contentBytes / contentBytesPerSecondMin) * 1000
    this.limits = {
      replyMillisecondsMax: settings.replyMilliseconds,
      totalDeadline: this.now() + attemptMillisecondsMax + contentMilliseconds,
    }
    this.statuses = this.forAll(remoteStatus.noConnection)
  }

  async run(): Promise<Delivered> {
    const found = await this.findTargets()
    if (found.kind === 'failed') {
      const { logText } = found.status
      if (logText !== '') this.equipment.log(`delivery to ${JSON.stringify(toText(this.domain()))}: ${logText}`)
      return this.forAll({ ...found.status, logText: fromText(logText) })
    }
    const tried = await this.tryEach(found.targets)
    const isFree = tried.kind === 'untaken' && this.tls.isRuledOut && !this.tls.requiresTls
    if (!isFree || !(await saysTlsNotRequired(this.content))) return this.end(tried)
    this.tls.forget()
    return this.end(await this.tryEach(found.targets))
  }

  private async tryEach(targets: readonly Target[]): Promise<Tried> {
    let status: Status = remoteStatus.noConnection
    for (const [at, target] of targets.entries()) {
      const most = this.isRouted ? this.settings.attemptsPerRelay : this.settings.attemptsPerHost
      // Does not go on to the next one: a busy exchanger makes no other one better.
      if (!(await this.equipment.hostShares.enter(target.address, most))) return { kind: 'crowded' }
      try {
        const next = await this.deliverTo(target)
        if (next === undefined) return { kind: 'answered' }
        const now = next.status ?? remoteStatus.noConnection
        status = at === 0 ? now : ofTwo(status, now)
        if (next.isLast) break
      } finally {
        this.equipment.hostShares.leave(target.address)
      }
    }
    return { kind: 'untaken', status }
  }

  private end(tried: Tried): Delivered {
    if (tried.kind === 'crowded') return 'crowded'
    return tried.kind === 'answered' ? this.statuses : this.forAll(tried.status)
  }

  private domain(): ByteString {
    if (this.host !== undefined) return this.host
    const recipient = this.envelope.recipients[0] ?? ''
    return recipient.slice(recipient.lastIndexOf('@') + 1)
  }

  private async findTargets(): Promise<Targets> {
    const domain = this.domain()
    if (!isMailDomain(domain)) return { kind: 'failed', status: remoteStatus.noSuchHost(domain) }
    const route = chooseRoute(this.envelope.sender, domain, this.settings)
    if (this.settings.unreadable || route.kind === 'unreadable')
      return { kind: 'failed', status: remoteStatus.badRoute }
    // A route is the administrator's decision: published policies count only for exchangers.
    if (route.kind === 'exchangers')
      return (await Promise.all([this.equipment.exchangers.ofDomain(domain), this.tls.lookUp(domain)]))[0]
    this.isRouted = true
    this.login = findLogin(this.settings.secrets, route.relay)
    return await this.equipment.exchangers.ofRelay(route.relay)
  }

  /** Undefined: it has answered, and every recipient has its status. Each turn settles a recipient, or names fewer. */
  private async deliverTo(target: Target): Promise<Next | undefined> {
    const policy = await this.tls.policyOf(target, this.domain(), this.isRouted)
    if ('class' in policy) return { isLast: false, status: policy }
    let waiting: readonly number[] = [...this.envelope.recipients.keys()]
    let together = transactionRecipientsMax
    for (let isFirst = true; waiting.length > 0; isFirst = false) {
      const group = waiting.slice(0, together)
      const result = await this.askAbout(target, policy, group)
      if ('isLast' in result) {
        // Recipients left over by earlier transactions keep the status that they have.
        return isFirst ? result : undefined
      }
      const { again, size } = groupAfter(result, group.length)
      const output = reportTransaction(target, result, forNow(result, again))
      if (isFirst && isUnchecked(result)) return { isLast: false, status: output.recipients[0] ?? output.end }
      for (const [at, position] of group.entries()) this.statuses[position] = output.recipients[at] ?? output.end
      together = Math.min(transactionRecipientsMax, size)
      waiting = [...group.filter((_, at) => again.includes(at)), ...waiting.slice(group.length)]
      // If no recipient got a reply, all get the status of the end.
      if (output.recipients.length === 0 && again.length === 0) {
        for (const position of waiting) this.statuses[position] = output.end
        return undefined
      }
      if (this.now() >= this.limits.totalDeadline) return undefined
    }
    return undefined
  }

  /** One transaction, on a kept connection if there is one. */
  private async askAbout(
    target: Target,
    policy: HostPolicy,
    group: readonly number[],
  ): Promise<TransactionResult | Next> {
    const recipients = group.map((position) => this.envelope.recipients[position] ?? '')
    const envelope = { ...this.envelope, recipients }
    const plan = this.tls.planFor(target, policy, this.login !== undefined)
    const kept = this.equipment.pool.take(this.poolKey(target, plan))
    if (kept !== undefined) {
      const result = await this.transact(target, plan, kept, envelope)
      if (!isProvokedByUse(result)) return result
      // The refusal may be about this connection, not this message: a new one is made.
      kept.session.connection.quit()
    }
    const fresh = await this.askOnNew(target, plan, envelope)
    if ('isLast' in fresh || fresh.end.kind !== 'outOfStep') return fresh
    const patient = await this.askOnNew(target, plan, envelope)
    return 'isLast' in patient ? fresh : patient
  }

  private async askOnNew(target: Target, plan: TlsPlan, envelope: OutgoingEnvelope): Promise<TransactionResult | Next> {
    const opened = await this.open(target, plan)
    if (opened.kind === 'ready') {
      const kept = { session: opened.session, transactions: 0, needsReset: false }
      return await this.transact(target, plan, kept, envelope)
    }
    if (opened.kind === 'unwilling' && plan.demandedBy !== '') this.tls.isRuledOut = true
    const isLast = opened.kind === 'refused' || opened.kind === 'ourselves'
    return { isLast, status: opened.kind === 'unreachable' ? undefined : opened.status }
  }

  private async transact(
    target: Target,
    plan: TlsPlan,
    kept: Kept,
    envelope: OutgoingEnvelope,
  ): Promise<TransactionResult> {
    const { connection } = kept.session
    const key = this.poolKey(target, plan)
    connection.useLimits(this.limits)
    const isReused = kept.transactions++ > 0
    const earlier = { isReused, resetFirst: kept.needsReset }
    const result = await transact(kept.session, envelope, this.content, earlier)
    if (result.end.kind === 'outOfStep')
      this.equipment.patientHosts.add(target.address, connection.lostBecause || 'the answers do not fit what was asked')
    this.noteMisread(connection)
    kept.needsReset = result.end.kind !== 'accepted'
    if (!isReused || !isProvokedByUse(result)) this.equipment.pool.give(key, kept)
    return result
  }

  private unwanted(target: Target): ReadonlySet<string> {
    const unwanted = this.settings.unwantedExtensions(target.name, target.address)
    return this.equipment.patientHosts.has(target.address) ? new Set([...unwanted, 'PIPELINING']) : unwanted
  }

  private poolKey(target: Target, plan: TlsPlan): string {
    const login = this.login === undefined ? '' : `${this.login.user} ${this.login.password}`
    const unwanted = [...this.unwanted(target)].join(' ')
    return [target.address, target.port, target.name, this.settings.helo, login, planKey(plan), unwanted].join('\n')
  }

  private async open(target: Target, plan: TlsPlan): Promise<Opened> {
    const { contexts, deadlines, deadHosts, clearHosts } = this.equipment
    const wish: SessionWish = {
      target,
      helo: this.settings.helo,
      tls: plan,
      login: this.login,
      unwanted: this.unwanted(target),
      // A route may lead to another program of this host, such as a filter.
      ownNames: this.isRouted ? new Set() : this.settings.ownNames,
      connectMilliseconds: this.settings.connectMilliseconds,
      limits: this.limits,
      onMisread: (connection) => this.noteMisread(connection),
      onTls: (fact, { ownAddress }) => this.tls.note(target, plan, fact, ownAddress),
    }
    let opened = await openSession(wish, contexts, deadlines)
    if (opened.kind === 'unreachable' && opened.timedOut) deadHosts.timedOut(target.address)
    else deadHosts.answered(target.address)
    if (opened.kind === 'handshakeFailed') {
      clearHosts.add(target.address, opened.why)
      opened = await openSession({ ...wish, tls: { ...plan, use: 'never' } }, contexts, deadlines)
    }
    return opened
  }

  /** The report has qmail's text for a lost connection; the log says why. */
  private noteMisread({ misread, target }: SmtpConnection): void {
    if (misread === '') return
    const shown = misread
      .slice(0, misreadShownMax)
      .trimEnd()
      .replace(/[^ -~]/g, '?')
    this.equipment.log(`warning: ${target.address} said what is no reply, or what it was not asked for: ${shown}`)
  }

  private forAll(status: Status): Status[] {
    return this.envelope.recipients.map(() => status)
  }

  private now(): number {
    return this.equipment.deadlines.clock.monotonic()
  }
}

/** The status when no exchanger has answered for the message: the last one's, but a permanent failure only if all have one. */
function ofTwo(before: Status, now: Status): Status {
  if (before.class === 5) return now
  return now.class === 5 || now === remoteStatus.noConnection ? before : now
}

/** `untaken`: no exchanger has answered for the message. */
type Tried =
  | { readonly kind: 'answered' }
  | { readonly kind: 'crowded' }
  | { readonly kind: 'untaken'; readonly status: Status }

/** The address has not answered for the message. */
interface Next {
  /** No other address is tried. */
  readonly isLast: boolean
  readonly status: Status | undefined
}
