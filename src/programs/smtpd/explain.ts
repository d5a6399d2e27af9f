/** `quaver smtp explain`: what would happen to a transaction. A real session with the real gate is driven up to DATA, and if
 *  there is a message, to its end; nothing is sent or kept, and a greylist is only read.
 *  Knows:  the commands to drive, and which control file is behind a reply of our own. Never: decides anything. */
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { done, type Outcome } from '../../base/outcome.ts'
import type { FilterPlan } from '../../clients/queue/filter-chain.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import { headerFields } from '../../protocols/dkim/header-fields.ts'
import { ContentEncoder, endOfContent } from '../../protocols/smtp/content-encoder.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import type { DialoguePort } from '../../servers/listener/dialogue.ts'
import type { Finding } from '../../servers/listener/finding.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import { isPostmaster } from '../../protocols/smtp/address.ts'
import { printable } from '../../system/log.ts'
import { Session } from './session.ts'
import type { SessionSetting } from './session-setting.ts'

export interface ExplainRequest {
  readonly ip: string
  readonly helo: string
  readonly from: string
  readonly to: readonly string[]
  /** With LF or CRLF at its line ends. */
  readonly message: Buffer | undefined
}

export interface ExplainStep {
  /** As the client would send it; empty for connecting, a dot for the end of the message. */
  readonly command: string
  /** Without its last line end; a remark if a rule removed it; empty if the connection ends without a reply. */
  readonly reply: string
  /** The server closes the connection then. */
  readonly closes: boolean
  /** In the order in which they were asked. */
  readonly findings: readonly Finding[]
}

export interface ClientFilters {
  /** The client's environment, with additions of smtpd's own. */
  readonly whole: Environment
  readonly plan: Outcome<FilterPlan>
}

const removedReply = 'no reply (removed by control/fixsmtpio)'
const endOfMessage = '.'

/** The rules behind the session's own refusals. */
export interface OwnRules {
  /** The rule that decided about the client's environment. */
  readonly environment: string
  /** A control file that cannot be read or parsed, if there is one. */
  readonly controls: string
}

type Refused = (reply: Reply) => void

class ExplainedSession extends Session {
  private readonly onRefused: Refused

  constructor(setting: SessionSetting, port: DialoguePort, onRefused: Refused) {
    super(setting, port)
    this.onRefused = onRefused
  }

  protected override note(check: string, reply?: Reply, about: ByteString = ''): void {
    super.note(check, reply, about)
    if (reply !== undefined) this.onRefused(reply)
  }
}

const postmaster: Finding = {
  check: 'postmaster',
  rule: 'RFC 5321 4.5.1',
  text: 'always accepted, no list and no plug-in is asked',
}

export class Explanation {
  private readonly setting: SessionSetting
  private readonly findings: Finding[]
  private readonly rules: OwnRules
  private output = ''
  private closed = false
  private said = false
  private onReply: () => void = () => undefined

  /** `findings` is filled by the setting's gate. */
  constructor(
    setting: SessionSetting,
    findings: Finding[],
    rules: OwnRules,
    filtersOf: (environment: Environment) => ClientFilters,
  ) {
    const enqueuerFor = (environment: Environment): Enqueuer => {
      findings.push(filtersFinding(filtersOf(environment)))
      return headTeller(findings)
    }
    this.setting = { ...setting, enqueuerFor }
    this.findings = findings
    this.rules = rules
  }

  async *steps(request: ExplainRequest): AsyncGenerator<ExplainStep> {
    const port: DialoguePort = {
      send: (text) => {
        // A whole reply, or what a rule left of it.
        this.output += text
        this.said = true
        this.onReply()
      },
      startTls: () => undefined,
      close: () => {
        this.closed = true
        this.onReply()
      },
      progress: () => undefined,
    }
    const session = new ExplainedSession(this.setting, port, (reply) => this.noteOwn(reply))
    this.noteEnvironment()
    yield await this.step('', () => session.greet())
    const commands: readonly (readonly [command: string, recipient?: string])[] = [
      [`EHLO ${request.helo}`],
      [`MAIL FROM:<${request.from}>`],
      ...request.to.map((to) => [`RCPT TO:<${to}>`, to] as const),
      ['DATA'],
    ]
    for (const [command, recipient] of commands) {
      if (this.closed) return
      const act = (): void => session.receive(Buffer.from(`${fromText(command)}\r\n`, 'latin1'))
      yield await this.step(command, act, recipient)
    }
    if (request.message !== undefined && session.takesContent && !this.closed) {
      const content = dataOf(request.message)
      yield await this.step(endOfMessage, () => session.receive(content))
    }
    session.abort()
  }

  private async step(command: string, act: () => void, recipient?: string): Promise<ExplainStep> {
    this.output = ''
    this.said = false
    const replied = new Promise<void>((resolve) => {
      this.onReply = resolve
    })
    act()
    await replied
    const said = this.said && this.output === '' ? removedReply : this.output.trimEnd()
    const reply = command === endOfMessage && said.startsWith('250') ? 'it would be accepted' : said
    const nobodyAsked = recipient !== undefined && this.findings.length === 0
    if (nobodyAsked && reply.startsWith('250') && isPostmaster(fromText(recipient))) this.findings.push(postmaster)
    return { command, reply, closes: this.closed, findings: this.findings.splice(0) }
  }

  private noteOwn(reply: Reply): void {
    const refuses = (check: string, rule: string): void => void this.findings.push({ check, rule, text: 'refuses' })
    const { environment } = this.setting
    if (reply === replies.badMailFrom) refuses('badmailfrom', 'control/badmailfrom')
    if (reply === replies.hostsUnreadable) refuses('rcpthosts', 'control/morercpthosts.cdb')
    if (reply === replies.notInRcptHosts) refuses('rcpthosts', 'control/rcpthosts, control/morercpthosts')
    if (reply === replies.tooBig)
      refuses('databytes', environment.has('DATABYTES') ? `DATABYTES, ${this.rules.environment}` : 'control/databytes')
    if (reply === replies.tlsFirst || reply === replies.tlsNotNow)
      refuses('starttls', `UCSPITLS, ${this.rules.environment}`)
    if (reply === replies.unreadableControls) refuses('controls', this.rules.controls)
  }

  private noteEnvironment(): void {
    const { environment } = this.setting
    const mayRelay = environment.has('RELAYCLIENT')
    const text = mayRelay ? 'may relay: RELAYCLIENT is set' : 'may not relay'
    this.findings.push({ check: 'client', rule: this.rules.environment, text })
  }
}

/** As the client would send it. */
function dataOf(message: Buffer): Buffer {
  const encoder = new ContentEncoder()
  const lines = [encoder.encode(message)]
  if (!encoder.complete) lines.push(encoder.encode(Buffer.from('\n')))
  return Buffer.concat([...lines, Buffer.from(endOfContent)])
}

/** Drops the message, and reports the fields that would have been put on top of it. */
function headTeller(findings: Finding[]): Enqueuer {
  return {
    open: () => ({
      write: () => Promise.resolve(),
      close(head) {
        const names = headerFields(head).map(({ raw }) => raw.slice(0, raw.indexOf(':')))
        findings.push({ check: 'head', rule: 'smtpd', text: `would put on top: ${names.map(printable).join(', ')}` })
        return Promise.resolve(done(0))
      },
      abandon: () => undefined,
    }),
  }
}

function filtersFinding({ whole, plan }: ClientFilters): Finding {
  if (!plan.done) {
    const rule = whole.get('QMAILQUEUE') === '' ? 'QMAILQUEUE' : 'QMAILQUEUEFILTERS'
    return { check: 'filters', rule, text: `would be deferred: ${plan.failure.logText}` }
  }
  const { filters, queueProgram, decidedBy } = plan.value
  const enqueuers = [...filters, ...(queueProgram === '' ? [] : [queueProgram])]
  const text =
    enqueuers.length === 0 ? 'none' : `would pass ${enqueuers.map((enqueuer) => printable(enqueuer)).join(', ')}`
  return { check: 'filters', rule: decidedBy, text }
}
