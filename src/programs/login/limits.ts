/** Every limit and deadline of a connection before its login. Handed in as a value, so that a test can wait less. */
import { listenerLimits } from '../../servers/listener/limits.ts'

export const limits = {
  ...listenerLimits,
  /** A command without AUTH's data. */
  commandLineBytesMax: 2048,
  /** RFC 4954 §4: 12288 bytes of base64 and a line end; `AUTH` and a mechanism before it. */
  saslLineBytesMax: 12_288 + 64,
  /** Of silence. */
  idleMillisecondsMax: 60_000,
  /** From the connection to the login. */
  loginMillisecondsMax: 180_000,
  /** Commands before a login that bring it no nearer. */
  commandsMax: 50,
  /** The answer to the n-th failed try comes n times so late … */
  failureDelayMilliseconds: 1000,
  /** … and a session that has begun may be silent for so long: its own program ends it long before. */
  relayIdleMillisecondsMax: 3_600_000,
} as const satisfies Record<string, number>

export type LoginLimits = { readonly [Name in keyof typeof limits]: number }
