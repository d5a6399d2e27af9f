/** The socket of one dialogue.
 *  Knows:  reading and writing, back-pressure both ways, the TLS handshake, closing so that the last reply arrives.
 *  Never:  what a command means.
 *  Fails:  a socket's error ends its dialogue and nothing else. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { describeError } from '../../base/outcome.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import { greetDelay } from './admission.ts'
import type { DelayWheel } from './delay-wheel.ts'
import type { ConnectionSetting, Dialogue } from './dialogue.ts'
import { refusalLine } from './log-lines.ts'

/** `taken`: the dialogue has the socket for itself. */
type Phase = 'greeting' | 'open' | 'handshake' | 'taken' | 'closing' | 'closed'

export class Connection {
  private readonly setting: ConnectionSetting
  private readonly delays: DelayWheel
  /** Made at the greeting: a connection that waits for the greeting, or talks before it, costs little. */
  private dialogue: Dialogue | undefined
  private readonly onClosed: () => void
  private socket: Socket
  private phase: Phase = 'greeting'
  private phaseSince: number
  private output = ''
  /** Inside a call of the dialogue: replies are gathered and leave in one write. */
  private gathering = false
  private closeWanted: 'goodbye' | 'refused' | undefined
  private tlsWanted = false

  constructor(socket: Socket, setting: ConnectionSetting, delays: DelayWheel, onClosed: () => void) {
    this.socket = socket
    this.setting = setting
    this.delays = delays
    this.onClosed = onClosed
    this.phaseSince = setting.clock.monotonic()
    // A peer may close its half after QUIT, or after the last dot: what it sent is still answered.
    socket.allowHalfOpen = true
  }

  /** To be called once, when the caller is ready for `onClosed`. */
  begin(): void {
    const { socket, setting } = this
    if (setting.implicitTls) {
      this.startTls()
      return
    }
    this.listen(socket)
    // ProxyReception, which read a header before us, has paused it.
    if (socket.isPaused()) socket.resume()
    if (setting.clientFirst === true) this.greet()
    else this.greetLater()
  }

  /** To be called every second or so. */
  tick(): void {
    const { limits, clock } = this.setting
    const inPhase = clock.monotonic() - this.phaseSince
    if (this.phase === 'open' || this.phase === 'taken') this.withDialogue((dialogue) => dialogue.tick())
    else if (this.phase === 'handshake' && inPhase > limits.handshakeMillisecondsMax) this.destroy('handshake-timeout')
    else if (this.phase === 'closing' && inPhase > limits.lingerMillisecondsMax) this.destroy('')
  }

  shutdown(): void {
    if (this.phase === 'open' || this.phase === 'taken') this.withDialogue((dialogue) => dialogue.shutdown())
    else if (this.phase === 'greeting') this.closeWith(replies.shuttingDown)
    else if (this.phase !== 'closing') this.destroy('')
  }

  /** A user is logged in, and another program serves the session. */
  get isEngaged(): boolean {
    return this.phase === 'taken'
  }

  /** Another connection gets the place: an idle peer is sent 421; the connection is closed in any case. */
  giveUp(how: 'politely' | 'at-once'): void {
    if (this.phase === 'closed') return
    this.note('place-given-up')
    if (how === 'politely') this.shutdown()
    if (how === 'at-once' || this.phase !== 'closing') this.destroy('')
  }

  destroy(reason: string): void {
    if (this.phase === 'closed') return
    if (reason !== '') this.note(reason)
    this.enter('closed')
    this.dialogue?.abort()
    this.socket.destroy()
    this.onClosed()
  }

  /** A peer that talks before the greeting does not listen to us. */
  refuseEarlyTalker(): void {
    if (this.phase !== 'greeting') return
    this.note('early-talker')
    this.closeWith(replies.outOfTurn)
  }

  private listen(socket: Socket): void {
    socket.on('data', this.onData)
    socket.on('end', this.onEnd)
    socket.on('drain', this.onDrain)
    socket.on('error', (error) => this.destroy(this.phase === 'handshake' ? `handshake ${describeError(error)}` : ''))
    socket.on('close', () => this.destroy(''))
  }

  private readonly onData = (chunk: Buffer): void => {
    if (this.phase === 'open') this.withDialogue((dialogue) => dialogue.receive(chunk))
    else if (this.phase === 'greeting') this.refuseEarlyTalker()
  }

  private readonly onEnd = (): void => {
    if (this.phase === 'open') this.withDialogue((dialogue) => dialogue.receiveEnd())
    else this.destroy('')
  }

  private readonly onDrain = (): void => this.regulate()

  private greetLater(): void {
    const { environment, limits } = this.setting
    const delay = greetDelay(environment, limits.greetDelaySecondsMax)
    if (delay > 0) this.delays.after(delay, () => this.greet())
    // Two turns: what lies in the socket already, before any greeting, is read in between.
    else setImmediate(() => setImmediate(() => this.greet()))
  }

  private greet(): void {
    if (this.phase !== 'greeting') return
    this.dialogue = this.setting.open({
      send: (text) => (this.output += text),
      startTls: () => (this.tlsWanted = true),
      close: (how) => (this.closeWanted = how),
      progress: () => this.settle(),
      takeSocket: () => this.giveSocket(),
    })
    if (this.socket instanceof TLSSocket) this.tellOfTls(this.socket)
    this.enter('open')
    this.withDialogue((dialogue) => dialogue.greet())
  }

  private closeWith(reply: Reply): void {
    this.output = this.setting.say(reply)
    this.closeWanted = 'refused'
    this.settle()
  }

  private withDialogue(call: (dialogue: Dialogue) => void): void {
    if (this.dialogue === undefined) return
    this.gathering = true
    try {
      call(this.dialogue)
    } finally {
      this.gathering = false
      this.settle()
    }
  }

  /** Writes what the dialogue said, then does what it asked for. */
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
    if (this.phase !== 'open' || this.dialogue === undefined) return
    const { limits } = this.setting
    const tooMuch =
      this.dialogue.pendingBytes > limits.pendingInputBytesMax ||
      this.socket.writableLength > limits.pendingRepliesBytesMax
    if (tooMuch) this.socket.pause()
    else if (this.socket.isPaused()) this.socket.resume()
  }

  private giveSocket(): Socket {
    const { socket, output } = this
    this.output = ''
    if (output !== '') socket.write(output, 'latin1')
    this.enter('taken')
    this.deafen(socket)
    return socket
  }

  private startTls(): void {
    this.tlsWanted = false
    const plain = this.socket
    this.enter('handshake')
    this.deafen(plain)
    // Bytes that came with STARTTLS must not become the first ones of the handshake (CVE-2011-0411 and its family).
    if (!this.setting.implicitTls) while (plain.read() !== null);
    try {
      const secure = this.setting.tls.secure(plain, this.setting.protocol)
      this.listen(secure)
      secure.on('secure', () => this.secured(secure))
      this.socket = secure
    } catch (error) {
      this.destroy(`handshake ${describeError(error)}`)
    }
  }

  private deafen(socket: Socket): void {
    socket.off('data', this.onData)
    socket.off('end', this.onEnd)
    socket.off('drain', this.onDrain)
    socket.pause()
  }

  private secured(secure: TLSSocket): void {
    if (this.phase !== 'handshake') return
    if (this.dialogue === undefined) {
      this.enter('greeting')
      this.greetLater()
      return
    }
    this.enter('open')
    this.tellOfTls(secure)
  }

  private tellOfTls(secure: TLSSocket): void {
    this.dialogue?.tlsStarted({
      version: secure.getProtocol() ?? 'TLS',
      cipher: secure.getCipher().standardName,
      bindings: () => this.setting.tls.bindings(secure),
    })
  }

  private enter(phase: Phase): void {
    this.phase = phase
    this.phaseSince = this.setting.clock.monotonic()
  }

  private note(check: string): void {
    this.setting.log(refusalLine(this.setting.environment, check))
  }
}
