/** An SMTP session without a socket: an enqueuer that remembers, a policy from plain values, and what was said. */
import { type ByteString, fromBuffer, toBuffer } from '../../src/base/byte-string.ts'
import { done, failed, type Failure, type Outcome } from '../../src/base/outcome.ts'
import type { ContentSink, Enqueuer } from '../../src/clients/queue/enqueuer.ts'
import { type Envelope, type Params, withLate } from '../../src/contracts/envelope.ts'
import { ContentBudget } from '../../src/clients/queue/content-budget.ts'
import { type Gate, openGate } from '../../src/programs/smtpd/gate.ts'
import { type Limits, limits } from '../../src/programs/smtpd/limits.ts'
import type { Environment } from '../../src/servers/listener/peer.ts'
import { type Policy, readPolicy } from '../../src/programs/smtpd/policy.ts'
import type { ReplyRules } from '../../src/programs/smtpd/reply-rules.ts'
import { Session } from '../../src/programs/smtpd/session.ts'
import type { Announce, SessionSetting } from '../../src/programs/smtpd/session-setting.ts'
import type { Control } from '../../src/stores/control/control.ts'
import { parseLine, parseList, parseNumber } from '../../src/protocols/qmail/control-format.ts'
import { quantityOf } from '../../src/stores/control/content.ts'
import { controlFiles } from '../../src/stores/control/table.ts'
import type { Clock } from '../../src/system/clock.ts'

export interface Taken {
  readonly envelope: Envelope
  readonly params: Params
  /** Head and body. */
  readonly content: ByteString
}

/** Takes everything, or fails with what it was told; answers a turn later, as the queue does. */
export class FakeEnqueuer implements Enqueuer {
  readonly taken: Taken[] = []
  abandoned = 0
  failure: Failure | undefined

  open(envelope: Envelope, params: Params): ContentSink {
    let body = ''
    return {
      write: async (bytes) => {
        await turn()
        body += fromBuffer(bytes)
      },
      close: (head, late) => this.take({ envelope, params: withLate(params, late), content: head + body }),
      abandon: () => void this.abandoned++,
    }
  }

  private async take(taken: Taken): Promise<Outcome<number>> {
    await turn()
    if (this.failure !== undefined) return failed(this.failure)
    this.taken.push(taken)
    return done(4711)
  }
}

/** Stands still until told; timers run when time is moved past them. */
export class FakeClock implements Clock {
  time = Date.UTC(2026, 10, 21, 9, 8, 7)
  private timers: { at: number; callback: () => void }[] = []

  now = (): number => this.time
  monotonic = (): number => this.time
  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }
  advance(milliseconds: number): void {
    this.time += milliseconds
    const due = this.timers.filter((timer) => timer.at <= this.time)
    this.timers = this.timers.filter((timer) => timer.at > this.time)
    for (const timer of due) timer.callback()
  }
  get waiting(): number {
    return this.timers.length
  }
}

export type ControlFiles = Readonly<Record<string, ByteString | undefined>>

/** Control files at hand instead of on disk. */
export function fakeControl(files: ControlFiles): Control {
  const text = (name: string): ByteString | undefined => files[name]
  const optionalLine = (name: string): ByteString | undefined => {
    const found = text(name)
    if (found !== undefined) return parseLine(found)
    return name === 'me' ? undefined : optionalLine('me')
  }
  const fake = {
    optionalLine,
    line: (name: string) => optionalLine(name) ?? name,
    number: (name: 'databytes' | 'timeoutsmtpd') =>
      parseNumber(text(name) ?? '', quantityOf(controlFiles[name])) ?? controlFiles[name].fallback,
    list: (name: string) => {
      const found = text(name)
      return found === undefined ? undefined : parseList(found)
    },
  }
  return fake as unknown as Control
}

export interface World {
  readonly announce?: Announce
  readonly replyRules?: ReplyRules
  /** Undefined: an open one. */
  readonly gate?: (environment: Environment) => Gate
  readonly control?: ControlFiles
  readonly environment?: Readonly<Record<string, string>>
  readonly limits?: Partial<Limits>
  readonly enqueuer?: Enqueuer
  readonly moreHosts?: ReadonlySet<ByteString>
  readonly localAddresses?: readonly string[]
  readonly tls?: boolean
  /** As of a client from the network; a script is sent as it is. */
  readonly mustWaitForReplies?: boolean
}

export const defaultControl: ControlFiles = { me: 'lab.test.example\n', rcpthosts: 'lab.test.example\n' }

export function policyOf(world: World): Policy {
  const local = new Set(world.localAddresses ?? ['192.0.2.1'])
  const control = fakeControl({ ...defaultControl, ...world.control })
  return readPolicy(
    control,
    world.moreHosts ?? new Set(),
    (ip) => local.has(ip),
    () => undefined,
  )
}

export class ScriptedSession {
  readonly enqueuer: FakeEnqueuer = new FakeEnqueuer()
  readonly clock: FakeClock = new FakeClock()
  readonly log: string[] = []
  readonly budget: ContentBudget
  readonly session: Session
  output = ''
  closed = false
  tlsStarts = 0

  constructor(world: World = {}) {
    const allLimits: Limits = { ...limits, ...world.limits }
    this.budget = new ContentBudget(allLimits.contentBytesInFlightMax)
    const variables = { TCPREMOTEIP: '192.0.2.9', TCPLOCALIP: '192.0.2.1', ...world.environment }
    const environment = new Map(Object.entries(variables))
    const setting: SessionSetting = {
      policy: policyOf(world),
      environment,
      gate: world.gate?.(environment) ?? openGate(environment),
      announce: world.announce,
      replyRules: world.replyRules,
      mustWaitForReplies: world.mustWaitForReplies === true,
      limits: allLimits,
      clock: this.clock,
      budget: this.budget,
      log: (line) => this.log.push(line),
      enqueuerFor: () => world.enqueuer ?? this.enqueuer,
      relayerOf: (seen) => seen.get('TCPREMOTEIP') ?? '',
      isOwnResult: () => false,
      tlsAvailable: () => world.tls === true,
    }
    this.session = new Session(setting, {
      send: (text) => {
        if (this.closed) throw new Error(`sent after close: ${text}`)
        this.output += text
      },
      startTls: () => this.tlsStarts++,
      close: () => (this.closed = true),
      progress: () => undefined,
    })
    this.session.greet()
  }

  /** Sends and waits until the session has said all that it will say; delays for errors pass at once. */
  async send(text: ByteString): Promise<string> {
    const before = this.output.length
    this.session.receive(toBuffer(text))
    await this.settle()
    return this.output.slice(before)
  }

  async settle(): Promise<void> {
    for (let still = 0, seen = this.state; still < 12; still++) {
      await turn()
      if (this.clock.waiting > 0) this.clock.advance(1000)
      if (this.state === seen) continue
      seen = this.state
      still = 0
    }
  }

  private get state(): string {
    return `${this.output.length} ${this.session.pendingBytes} ${this.closed} ${this.clock.waiting}`
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
