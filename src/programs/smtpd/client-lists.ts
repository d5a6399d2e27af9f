/** DNS lists about one client: asked when it connects, looked at when it names a recipient (rblsmtpd's way: up to RCPT
 *  everybody is served). RBLSMTPD in the environment decides without asking. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Answered, PolicyClient } from '../../clients/policy/policy-client.ts'
import type { DnsblAnswer } from '../../contracts/policy.ts'
import { readRblsmtpd } from '../../protocols/dnsbl/dnsbl.ts'
import type { Finding } from '../../servers/door/finding.ts'
import type { Environment } from '../../servers/door/peer.ts'

/** A block by a list, or by RBLSMTPD. */
export interface Block {
  readonly code: number
  readonly text: ByteString
  readonly finding: Finding
}

type Known = { readonly kind: 'known'; readonly block: Block | undefined; readonly finding: Finding }

export class ClientLists {
  private state: Known | { readonly kind: 'asked'; readonly answer: Promise<Answered<DnsblAnswer>> }

  /** Relay clients and loopback are nobody's business. `lists`: control/dnsbls. */
  constructor(
    environment: Environment,
    isLocal: boolean,
    lists: readonly ByteString[],
    policy: Pick<PolicyClient, 'dnsbl'>,
  ) {
    const setting = readRblsmtpd(environment.get('RBLSMTPD'))
    const ip = environment.get('TCPREMOTEIP') ?? ''
    if (setting.kind === 'blocked') this.state = known('RBLSMTPD', 'blocked', setting)
    else if (setting.kind === 'pass') this.state = known('RBLSMTPD', 'let through')
    else if (environment.has('RELAYCLIENT') || isLocal) this.state = known('RELAYCLIENT', 'not asked')
    else if (lists.length === 0) this.state = known('control/dnsbls', 'empty')
    else this.state = { kind: 'asked', answer: policy.dnsbl({ ip, lists }) }
  }

  /** At once where nothing was asked, or the answer is there already. */
  block(): Known | Promise<Known> {
    return this.state.kind === 'known' ? this.state : this.settle(this.state.answer)
  }

  private async settle(answer: Promise<Answered<DnsblAnswer>>): Promise<Known> {
    const answered = await answer
    this.state = answered.answered
      ? fromAnswer(answered.answer)
      : known('control/dnsbls', `no answer, let through: ${answered.why}`)
    return this.state
  }
}

function fromAnswer(answer: DnsblAnswer): Known {
  const { decision, code, text, rule, logText } = answer
  return known(rule, logText, decision === 'listed' ? { code, text } : undefined)
}

function known(rule: string, text: string, block?: { readonly code: number; readonly text: ByteString }): Known {
  const finding: Finding = { check: 'rblsmtpd', rule, text }
  return { kind: 'known', finding, block: block && { ...block, finding } }
}
