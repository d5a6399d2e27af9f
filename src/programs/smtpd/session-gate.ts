/** One session's gate: DNS lists, then plug-ins, of which SPF, greylisting and recipient checks are our own.
 *  Knows:  their order and exemptions. Never: how a check works. Postmaster is always accepted (RFC 5321 §4.5.1): lists,
 *          greylists and recipient checks are skipped for it. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ContentReader } from '../../clients/queue/reading-enqueuer.ts'
import type { SppSession } from './plug-ins/session.ts'
import type { StageOutcome } from './plug-ins/stage.ts'
import { isPostmaster } from '../../protocols/smtp/address.ts'
import type { Reply } from '../../protocols/smtp/replies.ts'
import { type Log, printable } from '../../system/log.ts'
import type { ClientLists } from './client-lists.ts'
import type { Finding } from '../../servers/listener/finding.ts'
import { type Facts, type Gate, passed, type Stage, type Verdict } from './gate.ts'
import type { Environment } from '../../servers/listener/peer.ts'

/** Receives the findings of checks. */
export interface Audience {
  /** For `explain`. */
  tell(finding: Finding): void
  readonly log: Log
  /** For `quaver smtp explain`: every step is reported, and there is no real client. */
  readonly explains: boolean
}

/** The facts when a message begins. */
export interface ContentFacts extends Audience {
  readonly facts: Facts
  readonly environment: Environment
}

/** A check of the stage `content`. Undefined: it does not apply to this message. */
export type ContentCheck = (facts: ContentFacts) => ContentReader | undefined

/** Undefined, now or later: no objection to that recipient. */
export type AddressCheck = (sender: ByteString, recipient: ByteString) => Promise<Reply | undefined> | undefined

export class SessionGate implements Gate {
  private readonly lists: ClientLists
  private readonly spp: SppSession
  private readonly contentChecks: readonly ContentCheck[]
  private readonly plugInsFrom: string
  private readonly audience: Audience
  private readonly checkAddresses: AddressCheck

  /** `plugInsFrom`: the file that names the plug-ins. */
  constructor(
    lists: ClientLists,
    spp: SppSession,
    contentChecks: readonly ContentCheck[],
    plugInsFrom: string,
    audience: Audience,
    checkAddresses: AddressCheck,
  ) {
    this.lists = lists
    this.spp = spp
    this.contentChecks = contentChecks
    this.plugInsFrom = plugInsFrom
    this.audience = audience
    this.checkAddresses = checkAddresses
  }

  get environment(): Environment {
    return this.spp.environment()
  }

  variable(name: ByteString): ByteString | undefined {
    return this.spp.variable(name)
  }

  at(stage: Stage, facts: Facts): Verdict | Promise<Verdict> {
    if (stage !== 'rcpt') {
      if (this.spp.runs(stage)) return this.askPlugIns(stage, facts)
      this.spp.pass(stage, stage === 'helo' ? facts.helo : facts.sender)
      return passed
    }
    if (isPostmaster(facts.recipient)) return this.passRecipient(facts)
    const known = this.lists.block()
    if (known instanceof Promise) return this.afterLists(known, facts)
    this.audience.tell(known.finding)
    if (known.block !== undefined) {
      this.passRecipient(facts)
      return refused(known.block, 'rblsmtpd')
    }
    const checked = this.checkAddresses(facts.sender, facts.recipient)
    return checked === undefined
      ? this.afterAddressCheck(undefined, facts)
      : checked.then((reply) => this.afterAddressCheck(reply, facts))
  }

  private afterAddressCheck(refusal: Reply | undefined, facts: Facts): Verdict | Promise<Verdict> {
    if (refusal === undefined && this.spp.runs('rcpt')) return this.askPlugIns('rcpt', facts)
    const pass = this.passRecipient(facts)
    return refusal === undefined ? pass : refused(refusal, 'srs')
  }

  readers(facts: Facts): readonly ContentReader[] {
    const environment = this.contentChecks.length === 0 ? new Map<string, string>() : this.environment
    const readers = this.contentChecks.map((begin) => begin({ facts, environment, ...this.audience }))
    return readers.filter((reader) => reader !== undefined)
  }

  headers(): ByteString {
    const field = this.lists.field()
    const lines = field === undefined ? this.spp.headers : [...this.spp.headers, field]
    return lines.map((line) => `${line}\n`).join('')
  }

  reset(): void {
    this.spp.reset()
  }

  transactionEnded(): void {
    this.spp.endTransaction()
  }

  tlsStarted(variables: Environment): void {
    this.spp.beginAnew(variables)
  }

  private passRecipient({ recipient, recipientAllowed, counts }: Facts): Verdict {
    this.spp.passRcpt(recipient, recipientAllowed, counts)
    return passed
  }

  private async afterLists(lists: Promise<unknown>, facts: Facts): Promise<Verdict> {
    await lists
    return await this.at('rcpt', facts)
  }

  private async askPlugIns(stage: Stage, facts: Facts): Promise<Verdict> {
    const outcome = await this.runStage(stage, facts)
    for (const { check, text } of outcome.steps) this.audience.tell({ check, rule: this.plugInsFrom, text })
    return verdictOf(outcome)
  }

  private runStage(stage: Stage, facts: Facts): Promise<StageOutcome> {
    switch (stage) {
      case 'connection':
        return this.spp.connection()
      case 'helo':
        return this.spp.helo(facts.helo)
      case 'mail':
        return this.spp.mail(facts.sender)
      case 'rcpt':
        return this.spp.rcpt(facts.recipient, facts.recipientAllowed, facts.counts)
      case 'data':
        return this.spp.data()
    }
  }
}

function verdictOf({ verdict, printed, address, steps }: StageOutcome): Verdict {
  // The last plug-in that ran is the one that decided.
  const plugIn = steps.at(-1)?.plugIn ?? ''
  const check = `spp ${printable(plugIn.slice(plugIn.lastIndexOf('/') + 1))}`.trimEnd()
  const base = { ...passed, printed, address }
  switch (verdict.kind) {
    case 'pass':
    case 'skip-stage':
    case 'off':
      return base
    case 'skip-own-checks':
      return { ...base, skipOwnChecks: true }
    case 'drop':
      return { ...base, drop: true, check }
    case 'refuse':
    case 'refuse-drop': {
      const drop = verdict.kind === 'refuse-drop'
      return { ...base, printed: [...printed, ...verdict.before], refusal: verdict.reply, check, drop }
    }
  }
}

function refused(refusal: Reply, check: string): Verdict {
  return { ...passed, refusal, check }
}
