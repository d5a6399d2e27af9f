/** What a session needs from outside, and what it asks of the one who drives it. */
import type { Taker } from '../../clients/queue/taker.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { ContentBudget } from './content.ts'
import type { Limits } from './limits.ts'
import type { Environment } from './peer.ts'
import type { Policy } from './policy.ts'

/** The driver's side. Calls may come while it calls the session. */
export interface SessionPort {
  send(text: string): void
  /** After what was sent: begin the handshake. What was received until then is nobody's. */
  startTls(): void
  /** After what was sent: close. The session has ended. */
  close(): void
  /** Something happened outside of a call by the driver: there may be replies to write, input is wanted again. */
  progress(): void
}

export interface SessionSetting {
  readonly policy: Policy
  readonly environment: Environment
  readonly limits: Limits
  readonly clock: Clock
  readonly budget: ContentBudget
  readonly log: Log
  takerFor(environment: Environment): Taker
  tlsAvailable(): boolean
}
