/** The socket of one session.
 *  Knows:  reading and writing, back-pressure both ways, the TLS handshake, closing so that the last reply arrives.
 *  Never:  what a command means.
 *  Fails:  a socket's error ends its session and nothing else. */
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { describeError } from '../../base/outcome.ts'
import { replies } from '../../protocols/smtp/replies.ts'
import { refusalLine } from './log-lines.ts'
import { greetDelay } from './admission.ts'
import type { DelayWheel } from './delay-wheel.ts'
import { Session } from './session.ts'
import type { SessionSetting } from './session-setting.ts'

export interface ConnectionSetting extends SessionSetting {
  /** Undefined: no certificate. */
  secureContext(): SecureContext | undefined
}

type Phase = 'greeting' | 'open' | 'handshake' | 'closing' | 'closed'

export class Connection {
  private readonly setting: ConnectionSetting
  /** Made at the greeting: one that waits for it, or talks before it, costs little. */
  private session: Session | undefined
  private readonly onClosed: () => void
  private socket: Socket
  private phase: Phase = 'greeting'
  private phaseSince: number
  private output = ''
  /** Inside a call of the session: replies are gathered and leave in one write. */
  private gathering = false
  private closeWanted: 'goodbye' | 'refused' | undefined
  private tlsWanted = false

  constructor(socket: Socket, setting: ConnectionSetting, delays: DelayWheel, onClosed: () => void) {
    this.socket = socket
    this.setting = setting
    this.onClosed = onClosed
    this.phaseSince = setting.clock.monotonic()
    // A peer may close its half after QUIT, or after the last dot: what it sent is still answered.
    socket.allowHalfOpen = true
    this.listen(socket)
    // Whoever read a proxy's header before us has paused it.
    if (socket.isPaused()) socket.resume()
    const delay = greetDelay(setting.environment, setting.limits.greetDelaySecondsMax)
    if (delay > 0) delays.after(delay, () => this.greet())
    // Two turns: what lies in the socket already, before any greeting, is read in between.
    else setImmediate(() => setImmediate(() => this.greet()))
  }

  /** To be called every second or so. */
  tick(): void {
    const { limits, clock } = this.setting
    const inPhase = clock.monotonic() - this.phaseSince
    if (this.phase === 'open') this.withSession((session) => session.tick())
    else if (this.phase === 'handshake' && inPhase > limits.handshakeMillisecondsMax) this.destroy('handshake-timeout')
    else if (this.phase === 'closing' && inPhase > limits.lingerMillisecondsMax) this.destroy('')
  }

  shutdown(): void {
    if (this.phase === 'open') this.withSession((session) => session.shutdown())
    else if (this.phase === 'greeting') this.closeWith(`${replies.shuttingDown.code} ${replies.shuttingDown.text}\r\n`)
    else if (this.phase !== 'closing') this.destroy('')
  }

  destroy(reason: string): void {
    if (this.phase === 'closed') return
    if (reason !== '') this.note(reason)
    this.enter('closed')
    this.session?.abort()
    this.socket.destroy()
    this.onClosed()
  }

  private listen(socket: Socket): void {
    socket.on('data', this.onData)
    socket.on('end', this.onEnd)
    socket.on('drain', this.onDrain)
    socket.on('error', () => this.destroy(''))
    socket.on('close', () => this.destroy(''))
  }

  private readonly onData = (chunk: Buffer): void => {
    if (this.phase === 'open') this.withSession((session) => session.receive(chunk))
    else if (this.phase === 'greeting') this.refuseEarlyTalker()
  }

  private readonly onEnd = (): void => {
    if (this.phase === 'open') this.withSession((session) => session.receiveEnd())
    else this.destroy('')
  }

  private readonly onDrain = (): void => this.regulate()

  private greet(): void {
    if (this.phase !== 'greeting') return
    this.session = new Session(this.setting, {
      send: (text) => (this.output += text),
      startTls: () => (this.tlsWanted = true),
      close: (how) => (this.closeWanted = how),
      progress: () => this.settle(),
    })
    this.enter('open')
    this.withSession((session) => session.greet())
  }

  /** Before the greeting the peer has nothing to say: who talks does not listen, or not to us. */
  refuseEarlyTalker(): void {
    if (this.phase !== 'greeting') return
    this.note('early-talker')
    this.closeWith(`${replies.earlyTalker.code} ${replies.earlyTalker.text}\r\n`)
  }

  private closeWith(text: string): void {
    this.output = text
    this.closeWanted = 'refused'
    this.settle()
  }

  private withSession(call: (session: Session) => void): void {
    if (this.session === undefined) return
    this.gathering = true
    try {
      call(this.session)
    } finally {
      this.gathering = false
      this.settle()
    }
  }

  /** Writes what the session said, then does what it asked for. */
  private settle(): void {
    if (this.gathering || this.phase === 'closed' || this.phase === 'closing') return
    const { output } = this
    this.output = ''
    if (this.closeWanted !== undefined) {
      this.enter('closing')
      // TLS wants its own goodbye; a plain peer that has said QUIT waits for our reply and nothing else.
      if (this.closeWanted === 'goodbye' && !(this.socket instanceof TLSSocket)) {
        this.socket.write(output, 'latin1', () => this.destroy(''))
        return
      }
      this.socket.resume()
      // What the peer still sends is read and dropped for a while: a reset would take our last reply with it.
      this.socket.end(output, 'latin1')
      return
    }
    if (output !== '') this.socket.write(output, 'latin1')
    if (this.tlsWanted) this.startTls()
    else this.regulate()
  }

  private regulate(): void {
    if (this.phase !== 'open' || this.session === undefined) return
    const { limits } = this.setting
    const tooMuch =
      this.session.pendingBytes > limits.pendingInputBytesMax ||
      this.socket.writableLength > limits.pendingRepliesBytesMax
    if (tooMuch) this.socket.pause()
    else if (this.socket.isPaused()) this.socket.resume()
  }

  private startTls(): void {
    this.tlsWanted = false
    const secureContext = this.setting.secureContext()
    if (secureContext === undefined) return this.destroy('no-certificate')
    this.enter('handshake')
    const plain = this.socket
    plain.off('data', this.onData)
    plain.off('end', this.onEnd)
    plain.off('drain', this.onDrain)
    plain.pause()
    // Bytes that came with STARTTLS must not become the first ones of the handshake (CVE-2011-0411 and its family).
    while (plain.read() !== null);
    try {
      const secure = new TLSSocket(plain, { isServer: true, secureContext, ALPNCallback: chooseProtocol })
      this.listen(secure)
      secure.on('secure', () => this.secured(secure))
      this.socket = secure
    } catch (error) {
      this.destroy(`handshake ${describeError(error)}`)
    }
  }

  private secured(secure: TLSSocket): void {
    if (this.phase !== 'handshake') return
    this.enter('open')
    this.session?.tlsStarted(secure.getProtocol() ?? 'TLS', secure.getCipher().standardName)
  }

  private enter(phase: Phase): void {
    this.phase = phase
    this.phaseSince = this.setting.clock.monotonic()
  }

  private note(check: string): void {
    this.setting.log(refusalLine(this.setting.environment, check))
  }
}

/** RFC 7301: a client that offers protocols and not ours is told so (it believes to speak to a web server). */
function chooseProtocol({ protocols }: { protocols: string[] }): string | undefined {
  return protocols.includes('smtp') ? 'smtp' : undefined
}
