/** One connection of QMTP or QMQP: takes packages, one after another, and answers for each recipient (QMTP) or for the whole
 *  message (QMQP), in the words of qmail-qmtpd and qmail-qmqpd.
 *  Never:  checks whether the client may relay: its setting says which recipients are accepted.
 *  Fails:  input that is no netstring ends the connection without a reply, as in qmail. */
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { failed, type Outcome, transientFrom } from '../../base/outcome.ts'
import { enqueue } from '../../clients/queue/hand-in.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import type { Params } from '../../contracts/envelope.ts'
import { type Form, type Named, netstring, PackageReader } from '../../protocols/netstring/package-reader.ts'
import { receivedField } from '../../protocols/smtp/received.ts'
import type { Dialogue, DialoguePort } from '../../servers/listener/dialogue.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { Gathered } from '../../system/spool.ts'
import type { QmtpdLimits } from './limits.ts'

export interface RelaySetting {
  readonly form: Form
  readonly environment: Environment
  readonly limits: QmtpdLimits
  readonly clock: Clock
  readonly log: Log
  readonly enqueuer: Enqueuer
  /** Go with each message. */
  readonly params: Params
  /** 0: no limit. */
  readonly databytes: number
  /** For a client that may not relay: is mail for the recipient's domain accepted? Undefined: unknown now. */
  readonly isOurs?: (recipient: ByteString) => boolean | undefined
}

const notOurs = "Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
const hostsUnreadable = 'Zqq unable to read configuration (#4.3.0)'
const tooBig = 'Dsorry, that message size exceeds my databytes limit (#5.3.4)'
const badSender = 'Dunacceptable sender (#5.1.7)'
const badRecipient = "Dsorry, I can't handle that recipient (#5.1.3)"
const badAddress = "Dsorry, I can't accept addresses like that (#5.1.3)"

export class RelayDialogue implements Dialogue {
  private readonly setting: RelaySetting
  private readonly port: DialoguePort
  private readonly startedAt: number
  private lastInputAt: number
  private input: Buffer[] = []
  private reader: PackageReader
  private content: Gathered | undefined
  /** Why the content could not be kept. */
  private trouble: Error | undefined
  private busy = false
  private endOfInput = false
  private stopping = false
  private ended = false

  constructor(setting: RelaySetting, port: DialoguePort) {
    this.setting = setting
    this.port = port
    this.startedAt = setting.clock.monotonic()
    this.lastInputAt = this.startedAt
    this.reader = this.nextReader()
  }

  /** The client speaks first. */
  greet(): void {}
  tlsStarted(): void {}

  get pendingBytes(): number {
    return this.input.reduce((sum, { length }) => sum + length, 0)
  }

  receive(bytes: Buffer): void {
    if (this.ended) return
    this.lastInputAt = this.setting.clock.monotonic()
    this.input.push(bytes)
    this.process()
  }

  receiveEnd(): void {
    this.endOfInput = true
    if (!this.busy) this.close('goodbye')
  }

  tick(): void {
    if (this.ended || this.busy) return
    const now = this.setting.clock.monotonic()
    const { idleMillisecondsMax, sessionMillisecondsMax } = this.setting.limits
    if (now - this.lastInputAt > idleMillisecondsMax) this.giveUp('idle')
    else if (now - this.startedAt > sessionMillisecondsMax) this.giveUp('session-too-long')
  }

  shutdown(): void {
    this.stopping = true
    if (!this.busy && !this.reader.hasBegun) this.close('goodbye')
  }

  abort(): void {
    this.ended = true
    this.input = []
    if (!this.busy) this.drop()
  }

  private process(): void {
    while (!this.busy && !this.ended) {
      const chunk = this.input.shift()
      if (chunk === undefined) break
      const at = this.reader.push(chunk)
      if (at < chunk.length) this.input.unshift(chunk.subarray(at))
      if (this.reader.fault !== undefined) return this.giveUp(this.reader.fault)
      if (this.reader.isOver) this.wait(this.finish(this.reader))
    }
    if (this.endOfInput && !this.busy && !this.ended) this.close('goodbye')
  }

  private wait(work: Promise<void>): void {
    this.busy = true
    void work.then(() => {
      this.busy = false
      this.lastInputAt = this.setting.clock.monotonic()
      this.process()
      if (!this.ended) this.port.progress()
    })
  }

  private async finish(reader: PackageReader): Promise<void> {
    const answers = await this.answersTo(reader)
    this.drop()
    if (this.ended) return
    this.port.send(answers.map(netstring).join(''))
    this.reader = this.nextReader()
    if (this.stopping || this.setting.form === 'qmqp') this.close('goodbye')
  }

  /** In QMTP one for each recipient. */
  private async answersTo({ sender, recipients, contentBytes }: PackageReader): Promise<ByteString[]> {
    const { form, databytes } = this.setting
    const forAll = (answer: ByteString): ByteString[] => (form === 'qmqp' ? [answer] : recipients.map(() => answer))
    if (form === 'qmqp' && [sender, ...recipients].includes(undefined)) return forAll(badAddress)
    if (sender === undefined) return forAll(badSender)
    if (databytes > 0 && contentBytes > databytes) return forAll(tooBig)
    const suffix = form === 'qmtp' ? (this.setting.environment.get('RELAYCLIENT') ?? '') : ''
    const refusals = recipients.map((recipient) => this.refusalOf(recipient))
    const good = recipients.filter((recipient, at) => recipient !== undefined && refusals[at] === undefined)
    if (form === 'qmtp' && good.length === 0) return refusals.map((refusal) => refusal ?? badRecipient)
    const taken = answerTo(
      await this.take(
        sender,
        good.map((recipient) => `${recipient}${suffix}`),
      ),
      this.setting.clock,
    )
    return form === 'qmqp' ? [taken] : refusals.map((refusal) => refusal ?? taken)
  }

  private refusalOf(recipient: Named): ByteString | undefined {
    if (recipient === undefined) return badRecipient
    const { isOurs } = this.setting
    const ours = isOurs === undefined ? true : isOurs(recipient)
    return ours === undefined ? hostsUnreadable : ours ? undefined : notOurs
  }

  private async take(sender: ByteString, recipients: readonly ByteString[]): Promise<Outcome<number>> {
    try {
      const content = this.begun()
      if (this.trouble !== undefined) throw this.trouble
      const { enqueuer, params } = this.setting
      return await enqueue(enqueuer, { sender, recipients, params }, content)
    } catch (error) {
      const failure = transientFrom(error, 'content', 'qq write error or disk full')
      this.setting.log(`warning: ${failure.logText}`)
      return failed(failure)
    }
  }

  private nextReader(): PackageReader {
    const { form, limits, databytes } = this.setting
    const reader: PackageReader = new PackageReader(form, limits, (bytes) => {
      // A message that is too large is read to its end, but not kept.
      if (databytes > 0 && reader.contentBytes > databytes) return
      try {
        if (this.trouble === undefined) this.begun().append(bytes)
      } catch (error) {
        this.trouble = error instanceof Error ? error : new Error(String(error))
      }
    })
    return reader
  }

  /** The Received line is on top. */
  private begun(): Gathered {
    if (this.content !== undefined) return this.content
    this.content = new Gathered(realRandom)
    const { environment, form, clock } = this.setting
    const known = (name: string): ByteString => environment.get(name) ?? 'unknown'
    const received = receivedField({
      remoteHost: known('TCPREMOTEHOST'),
      remoteIp: known('TCPREMOTEIP'),
      remoteInfo: environment.get('TCPREMOTEINFO'),
      helo: '',
      local: environment.get('TCPLOCALHOST') ?? known('TCPLOCALIP'),
      protocol: form.toUpperCase(),
      milliseconds: clock.now(),
    })
    this.content.append(toBuffer(received))
    return this.content
  }

  private drop(): void {
    this.content?.close()
    this.content = undefined
    this.trouble = undefined
  }

  private giveUp(why: string): void {
    this.setting.log(`${this.setting.form} ${this.setting.environment.get('TCPREMOTEIP') ?? 'unknown'} ${why}`)
    this.close('refused')
  }

  private close(how: 'goodbye' | 'refused'): void {
    if (this.ended) return
    this.abort()
    this.port.close(how)
  }
}

function answerTo(outcome: Outcome<number>, clock: Clock): ByteString {
  if (outcome.done) return `Kok ${Math.floor(clock.now() / 1000)} qp ${outcome.value}`
  const { class: failureClass, peerText } = outcome.failure
  return `${failureClass === 5 ? 'D' : 'Z'}${peerText}`
}
