/** A connection that is neither admitted nor refused yet. Nothing is read from it: early input is found when it is admitted.
 *  Fails:  where the answer is an error, or the client has gone, it ends without a word. */
import type { Socket } from 'node:net'

export interface PendingEvents<T> {
  /** The socket has no listeners of ours any more. */
  decided(found: T): void
  /** The server stops: the peer is still there to be told. */
  stopped(): void
  failed(reason: string): void
}

export class PendingConnection<T> {
  private readonly socket: Socket
  private readonly events: PendingEvents<T>
  private ended = false

  constructor(socket: Socket, answer: Promise<T>, events: PendingEvents<T>) {
    this.socket = socket
    this.events = events
    socket.on('error', this.onGone)
    socket.on('close', this.onGone)
    answer.then(
      (found) => this.end(() => events.decided(found)),
      (error: unknown) => this.destroy(String(error)),
    )
  }

  /** The answer has its own time limit. */
  tick(): void {}

  shutdown(): void {
    this.end(() => this.events.stopped())
  }

  destroy(reason: string): void {
    this.end(() => {
      this.socket.destroy()
      this.events.failed(reason)
    })
  }

  private readonly onGone = (): void => this.destroy('')

  private end(tell: () => void): void {
    if (this.ended) return
    this.ended = true
    this.socket.off('error', this.onGone)
    this.socket.off('close', this.onGone)
    tell()
  }
}
