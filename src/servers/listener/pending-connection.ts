/** A connection about which nobody knows yet whether it may come in. Nothing of it is read: what it says too early is found
 *  when it is let in.
 *  Fails:  where the answer is an error, or the client has gone, it ends without a word. */
import type { Socket } from 'node:net'

export interface PendingEvents<T> {
  /** The socket has no listeners of ours any more. */
  decided(found: T): void
  /** The server stops: there is still somebody to tell. */
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

  /** Whoever answers has the time limit. */
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
