/** Two sockets that are each other's: the client's, in TLS, and the session's, in clear to the user's own process.
 *  Knows:  back-pressure both ways, that an end is passed on and an error ends both.
 *  Never:  looks at a byte. */
import type { Socket } from 'node:net'
import type { Clock } from '../../system/clock.ts'
import type { LoginLimits } from './limits.ts'

export interface RelayParts {
  /** Paused. */
  readonly client: Socket
  /** Paused. */
  readonly session: Socket
  readonly clock: Clock
  readonly limits: Pick<LoginLimits, 'relayIdleMillisecondsMax' | 'lingerMillisecondsMax'>
}

export class Relay {
  private readonly parts: RelayParts
  private lastAt: number

  constructor(parts: RelayParts) {
    this.parts = parts
    this.lastAt = parts.clock.monotonic()
  }

  /** `first`: what the session has said; `early`: what the client had sent before it could know of it. */
  begin(first: Buffer, early: Buffer): void {
    const { client, session, clock, limits } = this.parts
    client.write(first)
    if (early.length > 0) session.write(early)
    this.pass(client, session)
    this.pass(session, client)
    const sessionGone = (): void => {
      client.end()
      clock.after(limits.lingerMillisecondsMax, () => client.destroy())
    }
    session.on('error', () => session.destroy())
    // It may be gone since its first word.
    if (session.destroyed) sessionGone()
    else session.on('close', sessionGone)
  }

  /** To be called every second or so. */
  tick(): void {
    const { clock, limits } = this.parts
    if (clock.monotonic() - this.lastAt > limits.relayIdleMillisecondsMax) this.parts.client.destroy()
  }

  /** The client is gone. What it has sent before still arrives, as over a network. */
  end(): void {
    const { session, clock, limits } = this.parts
    if (session.destroyed) return
    session.end()
    session.resume()
    clock.after(limits.lingerMillisecondsMax, () => session.destroy())
  }

  private pass(from: Socket, to: Socket): void {
    from.on('data', (bytes: Buffer) => {
      this.lastAt = this.parts.clock.monotonic()
      if (!to.write(bytes)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => to.end())
    from.resume()
  }
}
