/** What is spoken on a connection, without its socket: the listener drives it, and it asks the listener. */
import type { Socket } from 'node:net'
import type { ChannelBindings } from '../../contracts/auth.ts'
import type { Reply } from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { ServerTls } from '../../system/server-tls.ts'
import type { Environment } from './peer.ts'
import type { ListenerLimits } from './limits.ts'

export interface StartedTls {
  /** As Node names them: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`. */
  readonly version: string
  readonly cipher: string
  bindings(): ChannelBindings
}

export interface Dialogue {
  greet(): void
  receive(bytes: Buffer): void
  /** Bytes received and not looked at yet. */
  readonly pendingBytes: number
  /** The peer will send no more; what it sent is still answered. */
  receiveEnd(): void
  /** The handshake is done: the one that it asked for, or one that came before the greeting. */
  tlsStarted(tls: StartedTls): void
  /** Called every second or so. */
  tick(): void
  /** Refuses new work; what runs is finished. */
  shutdown(): void
  /** The connection is gone. */
  abort(): void
}

/** The listener's side. Calls may come while it calls the dialogue. */
export interface DialoguePort {
  send(text: string): void
  /** After what was sent: begin the handshake. What was received until then is dropped. */
  startTls(): void
  /** After what was sent: close. The dialogue has ended; `goodbye`: the peer wanted it so, and says no more. */
  close(how: 'goodbye' | 'refused'): void
  /** Something happened outside of a call by the listener: there may be replies to write, input is wanted again. */
  progress(): void
}

/** Also gives the socket away, to a dialogue that is a front for another program. */
export interface FrontPort extends DialoguePort {
  /** The socket, paused, without listeners but those by which the listener learns of its end. From then on the dialogue is
   *  called for `tick`, `shutdown` and `abort` only, and ends the connection by ending the socket. */
  takeSocket(): Socket
}

export interface ConnectionSetting {
  readonly environment: Environment
  readonly limits: ListenerLimits
  readonly clock: Clock
  readonly log: Log
  readonly tls: ServerTls
  /** In ALPN (RFC 7301). */
  readonly protocol: string
  /** The handshake comes first (RFC 8314). */
  readonly implicitTls: boolean
  /** The protocol has no greeting: the client speaks first. */
  readonly clientFirst?: true
  open(port: FrontPort): Dialogue
  /** How a refusal by the listener reads in this protocol, with its line end. */
  say(reply: Reply): string
}
