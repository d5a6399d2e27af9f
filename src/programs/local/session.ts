/** A session of a logged-in user, as lspawn granted it and the front handed it over. */
import type { Socket } from 'node:net'
import type { SessionGrant } from '../../contracts/assign.ts'
import type { SessionFacts } from '../../contracts/sessions.ts'

export interface GrantedSession {
  readonly grant: SessionGrant
  readonly facts: SessionFacts
  /** The protocol's bytes in clear, both ways. Paused; without listeners but one for `error`. */
  readonly socket: Socket
}

/** It owns the socket from its start to its end. */
export interface RunningSession {
  /** Called every second or so. */
  tick(): void
  /** It is to end: what runs is finished, the client is told, the connection closed. */
  shutdown(): void
  /** Resolves when the socket is closed and nothing is held any more; never rejects. */
  readonly ended: Promise<void>
}
