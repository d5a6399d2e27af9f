/** One connection before its login; after it, the relay to the session.
 *  Knows:  when input is taken, the number of tries, all time limits. Never: a protocol's texts; whether a password is right;
 *          the content of a session.
 *  Fails:  whatever cannot be determined is a temporary failure for the client; the log says why. */
import { type Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import type { AuthChallenge, AuthClient, AuthStep } from '../../clients/auth/auth-client.ts'
import type { SessionClient } from '../../clients/sessions/session-client.ts'
import type { ChannelBindings } from '../../contracts/auth.ts'
import type { SessionPeer } from '../../contracts/sessions.ts'
import { decodeBase64, encodeBase64 } from '../../protocols/sasl/base64.ts'
import type { Dialogue, FrontPort, StartedTls } from '../../servers/listener/dialogue.ts'
import { LineInput } from '../../servers/listener/line-input.ts'
import type { Environment, Peer } from '../../servers/listener/peer.ts'
import type { Clock } from '../../system/clock.ts'
import { type Log, printable } from '../../system/log.ts'
import type { LoginLimits } from './limits.ts'
import type { Failing, LoginActions, LoginProtocol } from './protocol.ts'
import { Relay } from './relay.ts'

export interface LoginSetting {
  readonly clock: Clock
  readonly log: Log
  readonly limits: LoginLimits
  readonly auth: Pick<AuthClient, 'begin' | 'mechanisms'>
  readonly sessions: Pick<SessionClient, 'begin'>
  readonly environment: Environment
  readonly peer: Peer
  readonly service: SessionPeer['service']
  readonly protocol: LoginProtocol
  readonly triesMax: number
}

type State =
  | { readonly kind: 'commands' }
  | { readonly kind: 'challenged'; readonly challenge: AuthChallenge }
  /** Waits for authd or a session, or delays the reply to a failure. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'relaying'; readonly relay: Relay }
  | { readonly kind: 'ended' }

export class LoginDialogue implements Dialogue {
  private readonly setting: LoginSetting
  private readonly port: FrontPort
  private readonly input = new LineInput()
  /** Aborted at the end, so that authd drops what it still works on. */
  private readonly gone = new AbortController()
  private readonly startedAt: number
  private heardAt: number
  private state: State = { kind: 'commands' }
  private tls: StartedTls | undefined
  private commands = 0
  private triesLeft: number
  private stopping = false

  constructor(setting: LoginSetting, port: FrontPort) {
    this.setting = setting
    this.port = port
    this.triesLeft = setting.triesMax
    this.startedAt = setting.clock.monotonic()
    this.heardAt = this.startedAt
  }

  greet(): void {
    this.port.send(this.setting.protocol.greeting())
  }

  receive(bytes: Buffer): void {
    if (this.state.kind === 'ended') return
    this.heardAt = this.setting.clock.monotonic()
    this.input.push(bytes)
    this.process()
  }

  get pendingBytes(): number {
    return this.input.length
  }

  receiveEnd(): void {
    // A client that has closed its side cannot log in any more.
    if (this.state.kind !== 'relaying') this.close('goodbye')
  }

  tlsStarted(tls: StartedTls): void {
    this.tls = tls
    this.setting.protocol.forget()
    if (this.state.kind === 'waiting') this.state = { kind: 'commands' }
    this.heardAt = this.setting.clock.monotonic()
  }

  tick(): void {
    const { clock, limits, protocol } = this.setting
    const now = clock.monotonic()
    if (this.state.kind === 'relaying') return this.state.relay.tick()
    if (this.state.kind === 'waiting' || this.state.kind === 'ended') return
    const tooLong = now - this.startedAt > limits.loginMillisecondsMax
    if (tooLong || now - this.heardAt > limits.idleMillisecondsMax) this.lastWord(protocol.timeout)
  }

  shutdown(): void {
    this.stopping = true
    // A session's own program tells its client; a client that waits for a session is told when the wait ends.
    if (this.state.kind === 'commands' || this.state.kind === 'challenged')
      this.lastWord(this.setting.protocol.shuttingDown)
  }

  abort(): void {
    this.gone.abort()
    if (this.state.kind === 'relaying') this.state.relay.end()
    this.state = { kind: 'ended' }
    this.input.drop()
  }

  private process(): void {
    const { limits, protocol } = this.setting
    while (this.state.kind === 'commands' || this.state.kind === 'challenged') {
      const taken = this.input.takeLine(limits.saslLineBytesMax)
      if (taken.kind === 'incomplete') return
      if (taken.kind === 'too-long') return this.lastWord(protocol.lineTooLong)
      if (this.state.kind === 'challenged') this.respond(this.state.challenge, taken.line)
      else this.command(taken.line)
    }
  }

  private command(line: string): void {
    const { limits, protocol } = this.setting
    if (++this.commands > limits.commandsMax) return this.lastWord(protocol.tooMany)
    // Only AUTH has long lines.
    if (line.length > limits.commandLineBytesMax && !/^auth /i.test(line)) return this.lastWord(protocol.lineTooLong)
    protocol.command(line, this.actions())
  }

  private actions(): LoginActions {
    return {
      secure: this.tls !== undefined,
      mechanisms: this.mechanisms(),
      say: (text) => this.port.send(text),
      startTls: () => {
        this.state = { kind: 'waiting' }
        // Input that came with the command was not protected, and is dropped.
        this.input.drop()
        this.port.startTls()
      },
      authenticate: (mechanism, initial) => this.authenticate(mechanism, initial),
      close: () => this.close('goodbye'),
    }
  }

  private mechanisms(): readonly string[] {
    if (this.tls === undefined) return []
    const isBound = this.bindings().size > 0
    return this.setting.auth.mechanisms().filter((name) => isBound || !name.endsWith('-PLUS'))
  }

  private bindings(): ChannelBindings {
    return this.tls?.bindings() ?? new Map()
  }

  private authenticate(mechanism: string, initial: string | undefined): void {
    if (this.tls === undefined) throw new Error('no password is asked for in clear')
    const decoded = initial === undefined || initial === '=' ? '' : decodeBase64(initial)
    if (decoded === undefined) return this.failed('malformed')
    const data = initial === undefined ? undefined : decoded
    const attempt = { mechanism, initial: data, peer: this.sessionPeer(), bindings: this.bindings() }
    void this.follow(this.setting.auth.begin(attempt, this.gone.signal))
  }

  private respond(challenge: AuthChallenge, line: string): void {
    // Drops the CR, and blanks that some clients append.
    const text = line.trim()
    const data = text === '*' ? undefined : decodeBase64(text)
    if (data !== undefined) return void this.follow(challenge.respond(data))
    challenge.cancel()
    this.failed(text === '*' ? 'cancelled' : 'malformed')
  }

  private async follow(next: Promise<AuthStep>): Promise<void> {
    this.state = { kind: 'waiting' }
    const step = await next
    if (this.isOver()) return
    if (step.kind === 'challenge') {
      this.state = { kind: 'challenged', challenge: step }
      this.port.send(this.setting.protocol.challenge(encodeBase64(step.data)))
    } else if (step.kind === 'rejected') this.failed(step.why)
    else await this.enter(step.account, step.ticket)
    this.heardAt = this.setting.clock.monotonic()
    this.process()
    this.port.progress()
  }

  private async enter(account: string, ticket: string): Promise<void> {
    const { sessions, log, limits, clock, protocol } = this.setting
    const begun = await sessions.begin({ ticket, peer: this.sessionPeer(), facts: this.facts() })
    if (begun.kind === 'refused') {
      log(`no session for ${printable(account)}: ${printable(begun.logText)}`)
      if (!this.isOver()) this.failed(begun.why)
      return
    }
    if (this.isOver() || this.stopping) {
      begun.socket.destroy()
      return this.isOver() ? undefined : this.lastWord(protocol.shuttingDown)
    }
    const client: Socket = this.port.takeSocket()
    const early = this.input.takeAll()
    protocol.forget()
    const relay = new Relay({ client, session: begun.socket, limits, clock })
    this.state = { kind: 'relaying', relay }
    relay.begin(begun.first, early)
  }

  /** The reply comes later each time, to slow down guessing. */
  private failed(why: Failing): void {
    const { clock, limits, log, environment, service, triesMax, protocol } = this.setting
    this.state = { kind: 'waiting' }
    // Temporary failures and cancelled tries are no guesses.
    const counts = why === 'credentials' || why === 'malformed' || why === 'mechanism'
    if (counts) this.triesLeft--
    const delay = why === 'credentials' ? limits.failureDelayMilliseconds * (triesMax - this.triesLeft) : 0
    log(`refused ${environment.get('TCPREMOTEIP') ?? 'unknown'} login ${service}: ${why}, ${this.triesLeft} tries left`)
    const tell = (): void => {
      if (this.isOver()) return
      this.heardAt = clock.monotonic()
      if (this.triesLeft <= 0) this.lastWord(protocol.failure(why))
      else {
        this.state = { kind: 'commands' }
        this.port.send(protocol.failure(why))
        if (this.stopping) this.lastWord(protocol.shuttingDown)
        else this.process()
      }
      this.port.progress()
    }
    if (delay === 0) tell()
    else clock.after(delay, tell)
  }

  private sessionPeer(): SessionPeer {
    const { service, peer } = this.setting
    return { service, remoteIp: peer.remoteIp, remotePort: peer.remotePort }
  }

  private facts() {
    const { environment, peer, protocol } = this.setting
    const { localIp, localPort } = peer
    const remoteHost = environment.get('TCPREMOTEHOST') ?? ''
    const [tlsProtocol, tlsCipher] = [this.tls?.version ?? '', this.tls?.cipher ?? '']
    return { remoteHost, localIp, localPort, tlsProtocol, tlsCipher, ...protocol.facts() }
  }

  private isOver(): boolean {
    return this.state.kind === 'ended'
  }

  private lastWord(text: string): void {
    this.port.send(text)
    this.close('refused')
  }

  private close(how: 'goodbye' | 'refused'): void {
    this.end()
    this.port.close(how)
  }

  private end(): void {
    try {
      this.abort()
    } catch (error) {
      this.setting.log(`alert: bug: ${describeError(error)}`)
    }
  }
}
