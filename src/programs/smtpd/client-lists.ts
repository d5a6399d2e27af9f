/** DNS lists about one client: asked when it connects, applied when it names a recipient (like rblsmtpd, every client is served
 *  up to RCPT). RBLSMTPD in the environment decides without asking. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Answered, PolicyClient } from '../../clients/policy/policy-client.ts'
import type { DnsblAnswer } from '../../contracts/policy.ts'
import { listsField, readRblsmtpd } from '../../protocols/dnsbl/dnsbl.ts'
import { quoted, type Reply } from '../../protocols/smtp/replies.ts'
import type { Finding } from '../../servers/listener/finding.ts'
import type { Environment } from '../../servers/listener/peer.ts'

/** Settings from control files. */
export interface ListsSetting {
  /** control/dnsbls. */
  readonly lists: readonly ByteString[]
  /** That file, or what replaces it, for messages. */
  readonly listsFrom: string
  /** control/dnsblscore: from this sum on a client is refused; 0: never. */
  readonly refusedFromScore: number
  /** control/dnsblheader; undefined: marks and scores are shown nowhere. */
  readonly fieldName: ByteString | undefined
}

interface Known {
  readonly kind: 'known'
  /** By a list, or by RBLSMTPD. */
  readonly block: Reply | undefined
  readonly finding: Finding
  /** Undefined: nothing was asked, or no answer came. */
  readonly answer?: DnsblAnswer
}

export class ClientLists {
  private readonly setting: ListsSetting
  private readonly ip: string
  private state: Known | { readonly kind: 'asked'; readonly answer: Promise<Answered<DnsblAnswer>> }

  /** No list is asked about relay clients and loopback. */
  constructor(environment: Environment, isLocal: boolean, setting: ListsSetting, policy: Pick<PolicyClient, 'dnsbl'>) {
    this.setting = setting
    this.ip = environment.get('TCPREMOTEIP') ?? ''
    const { lists } = setting
    const rblsmtpd = readRblsmtpd(environment.get('RBLSMTPD'))
    if (rblsmtpd.kind === 'blocked') this.state = known('RBLSMTPD', 'blocked', quoted(rblsmtpd.code, rblsmtpd.text))
    else if (rblsmtpd.kind === 'pass') this.state = known('RBLSMTPD', 'let through')
    else if (environment.has('RELAYCLIENT')) this.state = known('RELAYCLIENT', 'not asked')
    else if (isLocal) this.state = known('loopback', 'not asked')
    else if (lists.length === 0) this.state = known(setting.listsFrom, 'empty')
    else this.state = { kind: 'asked', answer: policy.dnsbl({ ip: this.ip, lists }) }
  }

  /** Returns at once if nothing was asked, or the answer has arrived already. */
  block(): Known | Promise<Known> {
    return this.state.kind === 'known' ? this.state : this.settle(this.state.answer)
  }

  /** The header line with marks and score; undefined if it is not wanted or there are none. */
  field(): ByteString | undefined {
    const { fieldName } = this.setting
    const answer = this.state.kind === 'known' ? this.state.answer : undefined
    if (fieldName === undefined || answer === undefined) return undefined
    return answer.marks.length === 0 && answer.score === 0 ? undefined : listsField(fieldName, this.ip, answer)
  }

  private async settle(answer: Promise<Answered<DnsblAnswer>>): Promise<Known> {
    const answered = await answer
    this.state = answered.answered
      ? this.fromAnswer(answered.answer)
      : known(this.setting.listsFrom, `no answer, let through: ${answered.why}`)
    return this.state
  }

  private fromAnswer(answer: DnsblAnswer): Known {
    const { decision, code, text, logText, score } = answer
    const { refusedFromScore, listsFrom } = this.setting
    const rule = decision === 'clear' ? listsFrom : `${listsFrom}: ${answer.rule}`
    if (decision === 'listed') return { ...known(rule, logText, quoted(code, text)), answer }
    if (decision === 'allowed' || refusedFromScore === 0 || score < refusedFromScore)
      return { ...known(rule, logText), answer }
    const block = quoted(451, `your address has a score of ${score} on DNS lists, the limit is ${refusedFromScore}`)
    return { ...known('control/dnsblscore', `${logText}, refused from ${refusedFromScore} on`, block), answer }
  }
}

function known(rule: string, text: string, block?: Reply): Known {
  const finding: Finding = { check: 'rblsmtpd', rule, text }
  return { kind: 'known', finding, block }
}
