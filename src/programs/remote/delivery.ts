/** One attempt: where to, which address next, which connection, what to report.
 *  Knows:  when another address is tried (no connection, no greeting) and when not (any answer to the message), when a
 *          kept connection is used, when TLS is left out.
 *  Never:  tries the same message again after the server has said anything about it.
 *  Fails:  always with one report for each recipient. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ConnectionPool, Kept } from '../../clients/smtp/connection-pool.ts'
import type { TimeLimits } from '../../clients/smtp/connection.ts'
import type { DeadHosts } from '../../clients/smtp/dead-hosts.ts'
import type { Deadlines } from '../../clients/smtp/deadlines.ts'
import type { MailExchangers, Target, Targets } from '../../clients/smtp/mail-exchangers.ts'
import { findLogin, type Login } from '../../clients/smtp/secrets.ts'
import { type Opened, openSession, type SessionWish } from '../../clients/smtp/session.ts'
import { planKey, planTls, type TlsContexts, type TlsPlan } from '../../clients/smtp/tls-plan.ts'
import { type OpenContent, transact, type TransactionResult } from '../../clients/smtp/transaction.ts'
import type { Report } from '../../contracts/deliver.ts'
import { combineRemoteOutput } from '../../protocols/qmail/remote-report.ts'
import { remoteTexts } from '../../protocols/qmail/remote-texts.ts'
import { chooseRoute } from '../../protocols/qmail/smtproutes.ts'
import type { OutgoingEnvelope } from '../../protocols/smtp/client-commands.ts'
import type { ClearHosts } from './clear-hosts.ts'
import type { Settings } from './settings.ts'

const attemptMillisecondsMax: number = 30 * 60_000
/** What any server must take in one transaction (RFC 5321 §4.5.3.1.8). */
const transactionRecipientsMax = 100

export interface Equipment {
  readonly exchangers: MailExchangers
  readonly deadlines: Deadlines
  readonly pool: ConnectionPool
  readonly deadHosts: DeadHosts
  readonly clearHosts: ClearHosts
  readonly contexts: TlsContexts
}

/** The recipients are all of one domain. */
export async function deliver(
  envelope: OutgoingEnvelope,
  content: OpenContent,
  settings: Settings,
  equipment: Equipment,
): Promise<Report[]> {
  const reports: Report[] = []
  while (reports.length < envelope.recipients.length) {
    const recipients = envelope.recipients.slice(reports.length, reports.length + transactionRecipientsMax)
    const result = await deliverTogether({ ...envelope, recipients }, content, settings, equipment)
    // If not one recipient was answered, the others need not be told of.
    const covered = result.recipients.length > 0 ? recipients : envelope.recipients.slice(reports.length)
    for (const index of covered.keys()) reports.push(reportFor(result, index))
  }
  return reports
}

/** All recipients in one transaction, reported as qmail-remote would. */
export async function deliverTogether(
  envelope: OutgoingEnvelope,
  content: OpenContent,
  settings: Settings,
  equipment: Equipment,
): Promise<RemoteOutput> {
  return await new Delivery(envelope, content, settings, equipment).run()
}

/** A report for each recipient that was answered, in order, and one for the message. */
export interface RemoteOutput {
  readonly recipients: readonly ByteString[]
  readonly message: ByteString
}

function reportFor({ recipients, message }: RemoteOutput, index: number): Report {
  const recipient = recipients[index]
  return combineRemoteOutput(recipient === undefined ? `${message}\0` : `${recipient}\0${message}\0`)
}

function forAll(message: ByteString): RemoteOutput {
  return { recipients: [], message }
}

class Delivery {
  private readonly envelope: OutgoingEnvelope
  private readonly content: OpenContent
  private readonly settings: Settings
  private readonly equipment: Equipment
  private readonly limits: TimeLimits
  private login: Login | undefined

  constructor(envelope: OutgoingEnvelope, content: OpenContent, settings: Settings, equipment: Equipment) {
    this.envelope = envelope
    this.content = content
    this.settings = settings
    this.equipment = equipment
    this.limits = {
      replyMillisecondsMax: settings.replyMilliseconds,
      totalDeadline: equipment.deadlines.clock.monotonic() + attemptMillisecondsMax,
    }
  }

  async run(): Promise<RemoteOutput> {
    const found = await this.findTargets()
    if (found.kind === 'failed') return forAll(found.report)
    let report: ByteString = remoteTexts.noConnection
    for (const target of found.targets) {
      const result = await this.tryTarget(target)
      if (result.kind === 'done') return result
      if (result.report !== undefined) report = result.report
    }
    return forAll(report)
  }

  private async findTargets(): Promise<Targets> {
    const recipient = this.envelope.recipients[0] ?? ''
    const domain = recipient.slice(recipient.lastIndexOf('@') + 1)
    const route = chooseRoute(this.envelope.sender, domain, this.settings)
    if (this.settings.unreadable || route.kind === 'unreadable') return { kind: 'failed', report: remoteTexts.badRoute }
    if (route.kind === 'exchangers') return await this.equipment.exchangers.ofDomain(domain)
    this.login = findLogin(this.settings.secrets, route.relay)
    return await this.equipment.exchangers.ofRelay(route.relay)
  }

  private async tryTarget(target: Target): Promise<({ kind: 'done' } & RemoteOutput) | Next> {
    const plan = this.planFor(target)
    const key = this.poolKey(target, plan)
    const kept = this.equipment.pool.take(key)
    if (kept !== undefined) {
      const result = await this.transact(key, kept)
      if (result.kind === 'reported') return { ...result, kind: 'done' }
      // A kept connection that says nothing about this message has been closed by the server: a new one is made.
    }
    const opened = await this.open(target, plan)
    if (opened.kind === 'ready') {
      const result = await this.transact(key, { session: opened.session, transactions: 0, needsReset: false })
      return result.kind === 'reported' ? { ...result, kind: 'done' } : { kind: 'done', ...forAll(result.message) }
    }
    if (opened.kind === 'refused') return { kind: 'done', ...forAll(opened.report) }
    return { kind: 'next', report: opened.kind === 'unreachable' ? undefined : opened.report }
  }

  private async transact(key: string, kept: Kept): Promise<TransactionResult> {
    kept.session.connection.useLimits(this.limits)
    const result = await transact(kept.session, this.envelope, this.content, kept.needsReset)
    kept.transactions++
    kept.needsReset = result.kind !== 'reported' || !result.message.startsWith('K')
    this.equipment.pool.give(key, kept)
    return result
  }

  private planFor(target: Target): TlsPlan {
    const needs = { login: this.login !== undefined, requireTls: this.envelope.params.has('REQUIRETLS') }
    const plan = planTls(target, this.settings.tlsFacts(target.name), needs)
    const inClear = plan.use === 'opportunistic' && this.equipment.clearHosts.has(target.address)
    return inClear ? { ...plan, use: 'never' } : plan
  }

  private poolKey(target: Target, plan: TlsPlan): string {
    const login = this.login === undefined ? '' : `${this.login.user} ${this.login.password}`
    return [target.address, target.port, target.name, this.settings.helo, login, planKey(plan)].join('\n')
  }

  private async open(target: Target, plan: TlsPlan): Promise<Opened> {
    const { contexts, deadlines, deadHosts, clearHosts } = this.equipment
    const wish: SessionWish = {
      target,
      helo: this.settings.helo,
      tls: plan,
      login: this.login,
      connectMilliseconds: this.settings.connectMilliseconds,
      limits: this.limits,
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
}

interface Next {
  readonly kind: 'next'
  readonly report: ByteString | undefined
}
