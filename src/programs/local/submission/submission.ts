/** The socket of one submission session: bytes in, replies out, and an end.
 *  Fails:  a socket's error ends its session and nothing else. */
import type { Socket } from 'node:net'
import { describeError } from '../../../base/outcome.ts'
import { formatReply, refusal, replies, type Reply } from '../../../protocols/smtp/replies.ts'
import { printable } from '../../../system/log.ts'
import type { GrantedSession, RunningSession } from '../session.ts'
import { Service } from './service.ts'
import { Session } from './session.ts'
import type { SubmissionTools } from './tools.ts'

/** Input, and replies not read: more, and the socket is not read. */
const pendingBytesMax: number = 64 * 1024
/** After our last reply the front has so long to close. */
const lingerMillisecondsMax = 5000

export function startSubmission(granted: GrantedSession, tools: SubmissionTools): RunningSession {
  return new Submission(granted, tools)
}

class Submission implements RunningSession {
  readonly ended: Promise<void>
  private readonly granted: GrantedSession
  private readonly tools: SubmissionTools
  private readonly socket: Socket
  private session: Session | undefined
  private output = ''
  private gathering = false
  private closing = false
  private closed = false
  private closingSince = 0

  constructor(granted: GrantedSession, tools: SubmissionTools) {
    const { socket } = granted
    this.granted = granted
    this.tools = tools
    this.socket = socket
    // A client may close its half after QUIT, or after the last dot: what it sent is still answered.
    socket.allowHalfOpen = true
    socket.on('data', (chunk: Buffer) => this.withSession((session) => session.receive(chunk)))
    socket.on('end', () => this.withSession((session) => session.receiveEnd()))
    socket.on('drain', () => this.regulate())
    socket.on('error', () => socket.destroy())
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.closed = true
        this.session?.abort()
        void (this.session?.settled ?? Promise.resolve()).then(resolve)
      })
    })
    socket.pause()
    void this.begin()
  }

  tick(): void {
    if (!this.closing) return this.withSession((session) => session.tick())
    if (this.tools.clock.monotonic() - this.closingSince > lingerMillisecondsMax) this.socket.destroy()
  }

  shutdown(): void {
    if (this.session === undefined) this.closeWith(replies.shuttingDown)
    else this.withSession((session) => session.shutdown())
  }

  private async begin(): Promise<void> {
    try {
      const service = await Service.begin(this.granted, this.tools)
      if (this.closed || this.closing) return
      if (!service.done) {
        this.tools.log(`alert: ${service.failure.logText}`)
        return this.closeWith(refusal(service.failure))
      }
      const { grant, facts } = this.granted
      const start = { account: grant.account, extended: facts.extended }
      this.session = new Session(service.value, this.tools, start, {
        send: (text) => (this.output += text),
        close: () => (this.closing = true),
        progress: () => this.settle(),
      })
      this.withSession((session) => session.greet())
      this.socket.resume()
    } catch (error) {
      this.tools.log(`alert: submission bug: ${printable(describeError(error))}`)
      this.socket.destroy()
    }
  }

  private closeWith(reply: Reply): void {
    this.output = formatReply(reply, this.granted.facts.extended)
    this.closing = true
    this.settle()
  }

  private withSession(call: (session: Session) => void): void {
    if (this.session === undefined || this.closing) return
    this.gathering = true
    try {
      call(this.session)
    } finally {
      this.gathering = false
      this.settle()
    }
  }

  /** Writes what the session said, in one write. */
  private settle(): void {
    if (this.gathering || this.closed || this.socket.writableEnded) return
    const { output } = this
    this.output = ''
    if (!this.closing) {
      if (output !== '') this.socket.write(output, 'latin1')
      return this.regulate()
    }
    this.closingSince = this.tools.clock.monotonic()
    // What still comes is read and dropped for a while: a reset would take our last reply with it.
    this.socket.resume()
    this.socket.end(output, 'latin1')
  }

  private regulate(): void {
    if (this.session === undefined || this.closing) return
    const { socket } = this
    if (Math.max(this.session.pendingBytes, socket.writableLength) > pendingBytesMax) socket.pause()
    else if (socket.isPaused()) socket.resume()
  }
}
