/** Joins two sockets: the client's, in TLS, and the session's, in clear to the user's own process.
 *  Knows:  back-pressure both ways; passes an end on, and ends both after an error.
 *  Never:  reads the content. */
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

  /** `first`: bytes of the session so far; `early`: bytes that the client sent before the login succeeded. */
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
    // It may have closed after its first bytes.
    if (session.destroyed) sessionGone()
    else session.on('close', sessionGone)
  }

  /** To be called every second or so. */
  tick(): void {
    const { clock, limits } = this.parts
    if (clock.monotonic() - this.lastAt > limits.relayIdleMillisecondsMax) this.parts.client.destroy()
  }

  /** To be called when the client is gone. What it sent before still reaches the session. */
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
