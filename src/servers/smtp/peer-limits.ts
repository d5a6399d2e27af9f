/** How long a session bears with its peer: what it counts, and when its time is up. */
import type { Clock } from '../../system/clock.ts'
import type { SmtpLimits } from './limits.ts'

export type Overdue = 'session-too-long' | 'idle' | 'content-idle' | 'content-slow'

export class PeerLimits {
  private readonly limits: SmtpLimits
  private readonly clock: Clock
  private readonly idleMillisecondsMax: number
  private readonly startedAt: number
  private lastInputAt: number
  private contentStartedAt = 0
  private messages = 0
  private errors = 0
  private unknownCommands = 0
  private idleCommands = 0

  constructor(limits: SmtpLimits, clock: Clock, idleSecondsMax: number) {
    this.limits = limits
    this.clock = clock
    this.idleMillisecondsMax = idleSecondsMax * 1000
    this.startedAt = clock.monotonic()
    this.lastInputAt = this.startedAt
  }

  /** The peer was heard, or it is its turn again. */
  inputSeen(): void {
    this.lastInputAt = this.clock.monotonic()
  }

  contentBegun(): void {
    this.contentStartedAt = this.clock.monotonic()
  }

  /** Errors and idle commands are held against a peer only until it brings mail. */
  messageAccepted(): void {
    this.messages++
    this.errors = 0
    this.idleCommands = 0
  }

  get messagesExhausted(): boolean {
    return this.messages >= this.limits.messagesMax
  }

  /** One more reply 5yz: give it at once, after a delay, or as the last one. */
  error(): 'at-once' | 'delayed' | 'last' {
    this.errors++
    if (this.errors >= this.limits.errorsHardMax) return 'last'
    return this.errors > this.limits.errorsSoftMax ? 'delayed' : 'at-once'
  }

  /** False: one too many. */
  allowsIdleCommand(): boolean {
    return ++this.idleCommands <= this.limits.idleCommandsMax
  }

  /** False: one too many. */
  allowsUnknownCommand(): boolean {
    return ++this.unknownCommands <= this.limits.unknownCommandsMax
  }

  /** `contentBytes`: received so far of the content that is coming; undefined between commands. */
  overdue(contentBytes: number | undefined): Overdue | undefined {
    const now = this.clock.monotonic()
    if (now - this.startedAt > this.limits.sessionMillisecondsMax) return 'session-too-long'
    const idle = now - this.lastInputAt
    if (contentBytes === undefined) return idle > this.idleMillisecondsMax ? 'idle' : undefined
    if (idle > Math.min(this.idleMillisecondsMax, this.limits.contentIdleMillisecondsMax)) return 'content-idle'
    const elapsed = now - this.contentStartedAt
    const expected = (elapsed / 1000) * this.limits.contentBytesPerSecondMin
    return elapsed > this.limits.contentGraceMilliseconds && contentBytes < expected ? 'content-slow' : undefined
  }
}
