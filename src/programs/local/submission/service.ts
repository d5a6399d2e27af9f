/** What a session asks for beyond its dialogue: is the sender who he says, has he sent enough for now, and who takes the
 *  message, cleaned and filtered.
 *  Made once for each session, from the control files of that moment and the person's own rules. */
import { type ByteString, lowerAscii } from '../../../base/byte-string.ts'
import { describeError, done, type Failure, failed, type Outcome, permanent, transient } from '../../../base/outcome.ts'
import { filterPass } from '../../../clients/filters/filter-pass.ts'
import { FilterEnqueuer } from '../../../clients/filters/filter-enqueuer.ts'
import type { Enqueuer } from '../../../clients/queue/enqueuer.ts'
import { addressBytes, cleanHeader } from '../../../protocols/submission/clean.ts'
import { makeMessageId } from '../../../protocols/submission/complete-header.ts'
import { rewriteAddress } from '../../../protocols/submission/rewriting.ts'
import { findSenderRule, type SenderRule } from '../../../protocols/submission/sender-rules.ts'
import { claimsToBeOurs } from '../../../protocols/auth-results/own-fields.ts'
import type { CdbReader } from '../../../protocols/qmail/cdb.ts'
import { checkReplies } from '../../../protocols/qmail/rcptchecks.ts'
import { routeRecipient } from '../../../protocols/qmail/routing.ts'
import type { Field } from '../../../protocols/rfc822/header.ts'
import { isPostmaster } from '../../../protocols/smtp/address.ts'
import type { Reply } from '../../../protocols/smtp/replies.ts'
import type { Environment } from '../../../servers/listener/peer.ts'
import { ownResults } from '../../../stores/control/own-results.ts'
import { routingFiles, routingTables } from '../../../stores/control/routing-tables.ts'
import { isOwnSrsAddress } from '../../../stores/control/srs-address.ts'
import { checkRecipient } from '../../../stores/users/recipient-check.ts'
import { printable } from '../../../system/log.ts'
import type { GrantedSession } from '../session.ts'
import { planSubmission, type SubmissionPlan } from './filter-plan.ts'
import { ownRulesTrouble, readOwnRules, readRewriting, type Rewriting } from './address-rules.ts'
import { type Cleaned, CleaningEnqueuer } from './cleaning-enqueuer.ts'
import { type Right, SenderRights } from './sender-rights.ts'
import type { SubmissionTools } from './tools.ts'
import { receivedFields } from './trace.ts'
import type { ReadAddress, Transaction } from './transaction.ts'
import type { Allowance } from './usage.ts'

/** Of all address fields of a message: room for ten thousand. */
const addressBytesMax: number = 256 * 1024
const tooManyAddresses: Failure = permanent('3.4', 'sorry, that message has too many addresses in its header')
/** Of an address, in a reply. */
const shownBytesMax = 200

export class Service {
  readonly greeting: ByteString
  /** 0: no limit. */
  readonly databytes: number
  readonly environment: Environment
  readonly rewriting: Rewriting
  private readonly tools: SubmissionTools
  private readonly account: ByteString
  private readonly home: ByteString
  private readonly ownRules: Outcome<CdbReader | undefined>
  private readonly rights: SenderRights
  private readonly plan: SubmissionPlan

  private constructor(
    session: GrantedSession,
    tools: SubmissionTools,
    rewriting: Rewriting,
    ownRules: Outcome<CdbReader | undefined>,
    plan: SubmissionPlan,
  ) {
    const { control, users, log } = tools
    const { account, home } = session.grant
    this.tools = tools
    this.account = account
    this.home = home
    this.rewriting = rewriting
    this.ownRules = ownRules
    this.greeting = control.line('smtpgreeting')
    this.databytes = control.number('databytes')
    this.plan = plan
    this.environment = plan.environment
    const listed = control.map('senders')?.get(lowerAscii(account))
    this.rights = new SenderRights({ home, listed, tables: routingTables(control), users, log })
  }

  /** Fails if a control file cannot be used: then nobody is served. */
  static async begin(session: GrantedSession, tools: SubmissionTools): Promise<Outcome<Service>> {
    tools.control.refresh()
    tools.control.reload(routingFiles)
    const unread = tools.control.unread('local')
    if (unread.length > 0) return failed(transient('3.0', 'unable to read controls', unread.join('; ')))
    const rewriting = readRewriting(tools.control)
    if (!rewriting.done) return rewriting
    const plan = planSubmission(session, tools)
    if (!plan.done) return plan
    const ownRules = await readOwnRules(session.grant.home, tools.clock)
    if (!ownRules.done) tools.log(`warning: ${ownRules.failure.logText}`)
    return done(new Service(session, tools, rewriting.value, ownRules, plan.value))
  }

  /** The transaction that MAIL begins. */
  async transactionFor({ address, params }: ReadAddress): Promise<Outcome<Transaction>> {
    const found = this.ownRule(address)
    if (!found.done) return found
    const author = found.value
    const sender = author === undefined ? address : rewriteAddress(author.address, this.rewriting.instructions)
    // A bounce has no sender; its From is looked at all the same.
    const right = sender === '' ? 'own' : await this.rights.of(sender)
    if (right !== 'own') return failed(notAllowed(sender, right))
    const named = author && { ...author, address: sender }
    return done({ sender, author: named, params, recipients: [], recipientParams: new Map(), originals: new Map() })
  }

  /** Undefined: nothing is known against it. An address of this host that nobody has is refused now, because a bounce is
   *  read late; where this user may not look, the delivery finds out. */
  async recipientRefusal(recipient: ByteString): Promise<Reply | undefined> {
    const { control, users, clock, log } = this.tools
    const tables = routingTables(control)
    if (tables === undefined || isPostmaster(recipient) || isOwnSrsAddress(control, recipient)) return undefined
    const { channel, address } = routeRecipient(recipient, tables)
    if (channel === 'remote') return undefined
    // Whether there is room is the delivery's affair.
    const { verdict, rule } = await checkRecipient(address, { users, clock, defaultDelivery: '' })
    if (verdict !== 'absent') return undefined
    log(`submission ${printable(this.account)}: no mailbox ${printable(address)} (${printable(rule)})`)
    return checkReplies.refuse
  }

  private ownRule(sender: ByteString): Outcome<SenderRule | undefined> {
    if (!this.ownRules.done) return this.ownRules
    try {
      return done(this.ownRules.value === undefined ? undefined : findSenderRule(this.ownRules.value, sender))
    } catch (error) {
      return failed(ownRulesTrouble(describeError(error)))
    }
  }

  /** May one more message go out, to so many? The failure is for the client; the log is told once an hour. */
  refusalForNow(recipients: number): Failure | undefined {
    const { usage, log } = this.tools
    const allowance = this.allowance()
    if (usage.allows(this.home, recipients, allowance)) return undefined
    const sent = usage.sent(this.home)
    const text = `${sent.messages} messages to ${sent.recipients} recipients`
    if (usage.isNews(this.home)) {
      const limits = `submissionmessages ${allowance.messages}, submissionrecipients ${allowance.recipients}`
      log(`alert: ${printable(this.account)} has sent ${text} in an hour; more is deferred (${limits})`)
    }
    return transient('7.1', `sorry, you have sent ${text} in the last hour; try again later`)
  }

  count(messages: number, recipients: number): void {
    const { usage, keepAliveFor } = this.tools
    usage.count(this.home, messages, recipients)
    keepAliveFor(usage.worthMilliseconds(this.home, this.allowance()))
  }

  private allowance(): Allowance {
    const { control } = this.tools
    return { messages: control.number('submissionmessages'), recipients: control.number('submissionrecipients') }
  }

  /** `gone`: nobody waits for the message any more. */
  enqueuerFor(transaction: Transaction, gone: () => boolean): Enqueuer {
    const { tools, plan } = this
    const { launcher, random, clock, queue, control } = tools
    let enqueuer = queue
    if (plan.filters.length > 0 || plan.queueProgram !== '') {
      const signatures = (): readonly ByteString[] => control.list('signatures') ?? []
      const filterTools = { launcher, random, clock, queue, signatures }
      enqueuer = new FilterEnqueuer(random, filterPass(filterTools, plan), gone)
    }
    const isOurs = ownResults(control)
    const ofAuthor = (fields: readonly Field[]): Field[] => fields.filter((field) => !claimsToBeOurs(field, isOurs))
    return new CleaningEnqueuer((fields) => this.clean(ofAuthor(fields), transaction), enqueuer)
  }

  private async clean(fields: readonly Field[], { sender, author }: Transaction): Promise<Outcome<Cleaned>> {
    if (addressBytes(fields) > addressBytesMax) return failed(tooManyAddresses)
    const { clock, control, nextNumber } = this.tools
    const now = clock.now()
    const { instructions, idhost } = this.rewriting
    const { text, authors } = cleanHeader(fields, {
      milliseconds: now,
      messageId: makeMessageId(now, [nextNumber(), process.pid], idhost),
      rewriting: instructions,
      sender: sender === '' ? rewriteAddress(this.account, instructions) : sender,
      author,
    })
    const foreign = await this.rights.firstForeign(authors)
    if (foreign !== undefined) return failed(notAllowed(foreign.address, foreign.right))
    const trace = receivedFields(this.environment, control.number('submissionreceivedip') === 1, now)
    return done({ trace, header: text })
  }
}

function notAllowed(address: ByteString, right: Right): Failure {
  if (right === 'unknown') return transient('3.0', 'unable to tell whose address that is', `nobody knows ${address}`)
  const shown = printable(address).slice(0, shownBytesMax)
  return permanent('7.1', `sorry, you may not send as ${shown}`)
}
