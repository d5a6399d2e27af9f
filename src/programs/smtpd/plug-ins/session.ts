/** Plug-ins over a whole SMTP session (qmail-spp): the environment they see, and the changes they make.
 *  Knows:  how long variables, headers and saved errors live. Never: a reply of its own except for failures. Differs from
 *          qmail-spp in one thing: variables that a plug-in sets at MAIL, RCPT or DATA end with the transaction, so that one
 *          sender's pass does not serve the next. Those set at connection and HELO live for the session. */
import type { ByteString } from '../../../base/byte-string.ts'
import type { Variables } from '../../../contracts/execute.ts'
import type { SavedFor } from '../../../protocols/spp/command.ts'
import { noPlugIns, type PlugIn, plugInName, type PlugIns, type Stage } from '../../../protocols/spp/plug-ins.ts'
import { runStage, safe, type SavedError, type StageOutcome, type StageTools, type Verdict } from './stage.ts'

/** Of all headers of one transaction; further ones are ignored. */
const headersBytesMax: number = 64 * 1024

type Overlay = Map<ByteString, ByteString | undefined>
type Saved = Record<SavedFor, SavedError[]>

/** Recipients of this transaction. */
export interface RecipientCounts {
  /** In the envelope. */
  readonly accepted: number
  /** Checked so far, with this one. */
  readonly asked: number
}

export class SppSession {
  private readonly plugIns: PlugIns
  private readonly tools: StageTools
  private readonly connectionVariables: Variables
  private sessionVariables: Map<ByteString, ByteString>
  /** Undefined: unset for this transaction. */
  private transactionVariables: Overlay = new Map()
  /** Errors saved at connection and HELO, and all for the next MAIL. */
  private sessionSaved: Saved = nothingSaved()
  private transactionSaved: Saved = nothingSaved()
  /** Both together, until one of them changes. */
  private merged: Variables | undefined
  private headerLines: ByteString[] = []
  private headerBytes = 0
  private off = false

  /** `environment`: the connection's; NOSPP in it switches everything off. */
  constructor(plugIns: PlugIns, environment: Variables, tools: StageTools) {
    this.plugIns = environment.has('NOSPP') ? noPlugIns : plugIns
    this.tools = tools
    this.connectionVariables = environment
    this.sessionVariables = new Map(environment)
  }

  /** Whether running this stage can change anything: if not, the session need not wait. */
  runs(stage: Stage): boolean {
    return this.savedFor(stage).length > 0 || (!this.off && this.plugIns[stage].some((plugIn) => !this.isIdle(plugIn)))
  }

  /** Records HELO or MAIL when nothing runs, for later stages. */
  pass(stage: Stage, value: ByteString): void {
    if (stage === 'helo') this.beginHelo(value)
    if (stage === 'mail') this.beginMail(value)
  }

  /** Records RCPT when no plug-in runs, for those of DATA and for filters. */
  passRcpt(recipient: ByteString, hostsOk: boolean, { accepted, asked }: RecipientCounts): void {
    this.setForTransaction('SMTPRCPTTO', recipient)
    this.setForTransaction('SMTPRCPTCOUNT', String(accepted))
    this.setForTransaction('SMTPRCPTCOUNTALL', String(asked))
    this.setForTransaction('SMTPRCPTHOSTSOK', hostsOk ? '1' : '0')
  }

  /** One variable of the environment, without putting all of it together. */
  variable(name: ByteString): ByteString | undefined {
    const { transactionVariables } = this
    return transactionVariables.has(name) ? transactionVariables.get(name) : this.sessionVariables.get(name)
  }

  /** The environment as plug-ins see it now; also used for queue programs, RELAYCLIENT and the Received field. */
  environment(): Variables {
    if (this.transactionVariables.size === 0) return this.sessionVariables
    this.merged ??= this.merge()
    return this.merged
  }

  /** Lines that go below our own Received field, in order, without line ends. */
  get headers(): readonly ByteString[] {
    return this.headerLines
  }

  /** Before the greeting. A refusal takes the greeting's place, and the session goes on. */
  connection(): Promise<StageOutcome> {
    return this.run('connection')
  }

  /** Before the reply to HELO or EHLO, which end a transaction. */
  helo(name: ByteString): Promise<StageOutcome> {
    this.beginHelo(name)
    return this.run('helo')
  }

  /** After the syntax check, before our own checks of the sender. */
  async mail(sender: ByteString): Promise<StageOutcome> {
    const saved = this.savedRefusal('mail')
    if (saved !== undefined) return saved
    this.beginMail(sender)
    const outcome = await this.run('mail')
    if (isRefusal(outcome.verdict)) this.endTransaction()
    else if (outcome.address !== undefined) this.setForTransaction('SMTPMAILFROM', outcome.address)
    return outcome
  }

  /** After the syntax check and the sender's verdict. `hostsOk`: rcpthosts, or RELAYCLIENT, would let it pass. */
  async rcpt(recipient: ByteString, hostsOk: boolean, counts: RecipientCounts): Promise<StageOutcome> {
    this.passRcpt(recipient, hostsOk, counts)
    const saved = this.savedRefusal('rcpt')
    if (saved !== undefined) return saved
    const outcome = await this.run('rcpt')
    if (outcome.address !== undefined) this.setForTransaction('SMTPRCPTTO', outcome.address)
    return outcome
  }

  /** After the check of the command's order, before the queue is opened and 354 is sent. */
  async data(): Promise<StageOutcome> {
    return this.savedRefusal('data') ?? (await this.run('data'))
  }

  /** RSET. */
  reset(): void {
    this.endTransaction()
    this.sessionSaved = nothingSaved()
  }

  /** The message is accepted or refused, or the client begins anew. */
  endTransaction(): void {
    this.merged = undefined
    if (this.transactionVariables.size > 0) this.transactionVariables = new Map()
    this.transactionSaved = nothingSaved()
    this.headerLines = []
    this.headerBytes = 0
  }

  /** Forgets everything said or set so far; `variables` are added by the server to those of the connection. */
  beginAnew(variables: Variables): void {
    this.reset()
    this.sessionVariables = new Map([...this.connectionVariables, ...variables])
    this.off = false
  }

  private beginHelo(name: ByteString): void {
    this.endTransaction()
    this.setForSession('SMTPHELOHOST', name)
  }

  private beginMail(sender: ByteString): void {
    this.endTransaction()
    this.setForTransaction('SMTPMAILFROM', sender)
  }

  private isIdle(plugIn: PlugIn): boolean {
    return this.tools.isIdle?.(plugInName(plugIn) ?? '', this.sessionVariables) === true
  }

  private merge(): Variables {
    const variables = new Map(this.sessionVariables)
    for (const [name, value] of this.transactionVariables) {
      if (value === undefined) variables.delete(name)
      else variables.set(name, value)
    }
    return variables
  }

  private setForSession(name: ByteString, value: ByteString | undefined): void {
    this.merged = undefined
    if (value === undefined) this.sessionVariables.delete(name)
    else this.sessionVariables.set(name, value)
  }

  private setForTransaction(name: ByteString, value: ByteString | undefined): void {
    this.merged = undefined
    this.transactionVariables.set(name, value)
  }

  private async run(stage: Stage): Promise<StageOutcome> {
    if (this.off || this.plugIns[stage].length === 0) return unasked
    const outcome = await runStage(this.tools, stage, this.plugIns[stage], this.environment())
    const isSessions = stage === 'connection' || stage === 'helo'
    for (const { name, value } of outcome.changes) {
      if (isSessions) this.setForSession(name, value)
      else this.setForTransaction(name, value)
    }
    for (const error of outcome.saved) {
      const { savedFor } = error
      const saved = isSessions || savedFor === 'mail' ? this.sessionSaved : this.transactionSaved
      saved[savedFor].push(error)
    }
    for (const line of outcome.headers) this.addHeader(line)
    if (outcome.verdict.kind === 'off') this.off = true
    return outcome
  }

  private addHeader(line: ByteString): void {
    if (this.headerBytes + line.length > headersBytesMax) return
    this.headerBytes += line.length
    this.headerLines.push(line)
  }

  private savedFor(stage: Stage): readonly SavedError[] {
    if (stage === 'connection' || stage === 'helo') return []
    return [...this.sessionSaved[stage], ...this.transactionSaved[stage]]
  }

  /** Given each time, as in qmail-spp: a second DATA is refused, too. */
  private savedRefusal(stage: SavedFor): StageOutcome | undefined {
    const errors = this.savedFor(stage)
    const last = errors.at(-1)
    if (last === undefined) return undefined
    const before = errors.slice(0, -1).map(({ reply }) => `${last.reply.code}-${reply.text}`)
    const text = `spp ${stage}: an error saved by ${safe(last.plugIn)}`
    const step = { check: 'spp', plugIn: last.plugIn, text } as const
    return { ...unasked, verdict: { kind: 'refuse', reply: last.reply, before }, steps: [step] }
  }
}

const unasked: StageOutcome = {
  verdict: { kind: 'pass' },
  printed: [],
  changes: [],
  headers: [],
  saved: [],
  address: undefined,
  steps: [],
}

function nothingSaved(): Saved {
  return { mail: [], rcpt: [], data: [] }
}

function isRefusal(verdict: Verdict): boolean {
  return verdict.kind === 'refuse' || verdict.kind === 'refuse-drop' || verdict.kind === 'drop'
}
