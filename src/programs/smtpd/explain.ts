/** `quaver smtp explain`: what would happen to a transaction. A real session with the real gate is driven up to DATA;
 *  nothing is sent, nothing is kept, and a greylist is only looked at.
 *  Knows:  the commands to drive, and which control file is behind a reply of our own. Never: decides anything. */
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { failed, type Outcome, transient } from '../../base/outcome.ts'
import type { FilterPlan } from '../../clients/queue/filter-chain.ts'
import type { Taker } from '../../clients/queue/taker.ts'
import type { Finding } from '../../servers/door/finding.ts'
import type { Environment } from '../../servers/door/peer.ts'
import { printable } from '../../system/log.ts'
import { Session } from './session.ts'
import type { SessionSetting } from './session-setting.ts'

export interface ExplainRequest {
  readonly ip: string
  readonly helo: string
  readonly from: string
  readonly to: readonly string[]
}

export interface ExplainStep {
  /** As the client would say it; empty for connecting. */
  readonly command: string
  readonly reply: string
  /** In the order in which they were asked. */
  readonly findings: readonly Finding[]
}

const explained: Taker = {
  submit: () => Promise.resolve(failed(transient('explained only (#4.3.0)'))),
  open: () => Promise.resolve(failed(transient('explained only (#4.3.0)'))),
}

/** Replies of the session itself, and what is behind them. */
const ownRules: readonly (readonly [text: string, check: string, rule: string])[] = [
  ['badmailfrom list', 'badmailfrom', 'control/badmailfrom'],
  ['allowed rcpthosts', 'rcpthosts', 'control/rcpthosts, control/morercpthosts'],
  ['databytes limit', 'databytes', 'control/databytes'],
]

export class Explanation {
  private readonly setting: SessionSetting
  private readonly findings: Finding[]
  private readonly environmentRule: string
  private output = ''
  private closed = false
  private onReply: () => void = () => undefined

  /** `findings` is filled by the setting's gate. */
  constructor(
    setting: SessionSetting,
    findings: Finding[],
    environmentRule: string,
    filtersOf: (environment: Environment) => Outcome<FilterPlan>,
  ) {
    const takerFor = (environment: Environment): Taker => {
      findings.push(filtersFinding(filtersOf(environment)))
      return explained
    }
    this.setting = { ...setting, takerFor }
    this.findings = findings
    this.environmentRule = environmentRule
  }

  async *steps(request: ExplainRequest): AsyncGenerator<ExplainStep> {
    const session = new Session(this.setting, {
      send: (text) => {
        this.output += text
        this.onReply()
      },
      startTls: () => undefined,
      close: () => {
        this.closed = true
        this.onReply()
      },
      progress: () => undefined,
    })
    this.noteEnvironment()
    yield await this.step('', () => session.greet())
    const commands = [
      `EHLO ${request.helo}`,
      `MAIL FROM:<${request.from}>`,
      ...request.to.map((to) => `RCPT TO:<${to}>`),
      'DATA',
    ]
    for (const command of commands) {
      if (this.closed) return
      yield await this.step(command, () => session.receive(Buffer.from(`${fromText(command)}\r\n`, 'latin1')))
    }
    session.abort()
  }

  private async step(command: string, act: () => void): Promise<ExplainStep> {
    this.output = ''
    const replied = new Promise<void>((resolve) => {
      this.onReply = () => {
        if (this.closed || isWholeReply(this.output)) resolve()
      }
    })
    act()
    await replied
    const reply = this.output.trimEnd()
    for (const [text, check, rule] of ownRules)
      if (reply.includes(text)) this.findings.push({ check, rule, text: 'refuses' })
    return { command, reply, findings: this.findings.splice(0) }
  }

  private noteEnvironment(): void {
    const { environment } = this.setting
    const mayRelay = environment.has('RELAYCLIENT')
    const text = mayRelay ? 'may relay: RELAYCLIENT is set' : 'may not relay'
    this.findings.push({ check: 'client', rule: this.environmentRule, text })
  }
}

function isWholeReply(output: ByteString): boolean {
  const lines = output.split('\r\n')
  const last = lines.at(-2) ?? ''
  return output.endsWith('\r\n') && /^\d{3} /.test(last)
}

function filtersFinding(plan: Outcome<FilterPlan>): Finding {
  if (!plan.done)
    return { check: 'filters', rule: 'QMAILQUEUEFILTERS', text: `would be deferred: ${plan.failure.logText}` }
  const { filters, queueProgram, decidedBy } = plan.value
  const takers = [...filters, ...(queueProgram === '' ? [] : [queueProgram])]
  const text = takers.length === 0 ? 'none' : `would pass ${takers.map((taker) => printable(taker)).join(', ')}`
  return { check: 'filters', rule: decidedBy, text }
}
