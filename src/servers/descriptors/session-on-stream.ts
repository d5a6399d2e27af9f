/** One session on a stream that another program has accepted (tcpserver, inetd, a mail program's pipe): the listener's part
 *  without a listener.
 *  Knows:  back-pressure, the tick for the session's deadlines, ending so that the last reply arrives, when a handshake begins.
 *  Never:  makes the handshake, or asks who may connect.
 *  Fails:  a stream's error, or a handshake that fails, ends the session and nothing else. */
import type { Duplex } from 'node:stream'
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import type { Dialogue, DialoguePort, StartedTls } from '../listener/dialogue.ts'
import type { ListenerLimits } from '../listener/limits.ts'

const tickMilliseconds = 1000

export interface StreamSession
  extends Pick<Dialogue, 'greet' | 'receive' | 'receiveEnd' | 'tick' | 'abort' | 'pendingBytes'> {
  /** Of a session that asks for a handshake. */
  tlsStarted?(tls: Pick<StartedTls, 'version' | 'cipher'>): void
}
export type StreamLimits = Pick<
  ListenerLimits,
  'lingerMillisecondsMax' | 'pendingInputBytesMax' | 'pendingRepliesBytesMax'
>
/** As `DialoguePort.close`, or the other side went away without a word. */
export type SessionEnd = 'goodbye' | 'refused' | 'gone'

export interface SecuredStream extends Pick<StartedTls, 'version' | 'cipher'> {
  readonly stream: Duplex
}

export interface StreamServing {
  readonly limits: StreamLimits
  readonly clock: Clock
  /** Makes the handshake on the connection, which this process no longer reads. Rejects if it fails. */
  readonly secure?: (() => Promise<SecuredStream>) | undefined
  /** Why a handshake failed. */
  readonly log?: (line: string) => void
}

/** Resolves when the last reply has been read, or will not be. */
export function serveStream(
  stream: Duplex,
  serving: StreamServing,
  open: (port: DialoguePort) => StreamSession,
): Promise<SessionEnd> {
  return new Promise((resolve) => new SessionOnStream(stream, serving, resolve).begin(open))
}

class SessionOnStream {
  private readonly serving: StreamServing
  private readonly resolve: (end: SessionEnd) => void
  private readonly ticker: NodeJS.Timeout
  private stream: Duplex
  private session: StreamSession | undefined
  private ending: SessionEnd | undefined
  private isSaid = false
  private isHeard = false

  constructor(stream: Duplex, serving: StreamServing, resolve: (end: SessionEnd) => void) {
    this.stream = stream
    this.serving = serving
    this.resolve = resolve
    // It also keeps the process running: after the end of a file nothing else does.
    this.ticker = setInterval(() => {
      if (this.ending === undefined) this.session?.tick()
    }, tickMilliseconds)
  }

  begin(open: (port: DialoguePort) => StreamSession): void {
    const session = open({
      send: (text) => this.stream.write(text, 'latin1'),
      startTls: () => this.startTls(),
      progress: () => this.regulate(),
      close: (how) => this.close(how),
    })
    this.session = session
    this.listen()
    session.greet()
    this.regulate()
  }

  private listen(): void {
    this.stream.on('data', this.onData).on('end', this.onEnd).on('drain', this.onDrain)
    this.stream.on('error', this.onGone).on('close', this.onGone)
  }

  private readonly onData = (bytes: Buffer): void => {
    if (this.ending !== undefined) return
    this.session?.receive(bytes)
    this.regulate()
  }

  private readonly onEnd = (): void => {
    this.isHeard = true
    if (this.ending === undefined) this.session?.receiveEnd()
    this.leaveWhenRead()
  }

  private readonly onDrain = (): void => this.regulate()

  private readonly onGone = (): void => {
    if (this.ending === undefined) this.session?.abort()
    this.leave('gone')
  }

  private regulate(): void {
    if (this.ending !== undefined || this.session === undefined) return
    const { pendingInputBytesMax, pendingRepliesBytesMax } = this.serving.limits
    const tooMuch =
      this.session.pendingBytes > pendingInputBytesMax || this.stream.writableLength > pendingRepliesBytesMax
    if (tooMuch) this.stream.pause()
    else this.stream.resume()
  }

  private close(how: 'goodbye' | 'refused'): void {
    if (this.ending !== undefined) return
    this.ending = how
    this.serving.clock.after(this.serving.limits.lingerMillisecondsMax, () => this.leave(how))
    this.stream.resume()
    this.stream.end(() => {
      this.isSaid = true
      this.leaveWhenRead()
    })
  }

  /** What the peer still sends is read and dropped for a while: a reset would take our last reply with it. */
  private leaveWhenRead(): void {
    if (this.ending !== undefined && this.isSaid && (this.isHeard || this.ending === 'goodbye')) this.leave(this.ending)
  }

  private leave(end: SessionEnd): void {
    this.ending ??= end
    clearInterval(this.ticker)
    this.resolve(this.ending)
  }

  /** After the reply has left. The peer sends nothing before it has read the reply, and then the handshake, which is not for
   *  us: we close our descriptor of the connection first; the helper that makes the handshake has another. */
  private startTls(): void {
    const plain = this.stream
    const { secure } = this.serving
    if (secure === undefined) return
    plain.write('', () => {
      plain.off('data', this.onData).off('end', this.onEnd).off('drain', this.onDrain)
      plain.off('error', this.onGone).off('close', this.onGone)
      plain.on('error', () => undefined)
      plain.destroy()
      secure().then(
        (secured) => this.secured(secured),
        (error: unknown) => {
          this.serving.log?.(`handshake ${describeError(error)}`)
          this.onGone()
        },
      )
    })
  }

  private secured({ stream, version, cipher }: SecuredStream): void {
    if (this.ending !== undefined) return
    this.stream = stream
    this.listen()
    this.session?.tlsStarted?.({ version, cipher })
    this.regulate()
  }
}
