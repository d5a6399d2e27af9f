/** Every limit and deadline of a connection before its login. A value that tests can replace, to wait less. */
import { listenerLimits } from '../../servers/listener/limits.ts'

export const limits = {
  ...listenerLimits,
  /** A command without AUTH's data. */
  commandLineBytesMax: 2048,
  /** RFC 4954 §4: 12288 bytes of base64 and a line end, after `AUTH` and a mechanism. */
  saslLineBytesMax: 12_288 + 64,
  /** Of silence. */
  idleMillisecondsMax: 60_000,
  /** From the connection to the login. */
  loginMillisecondsMax: 180_000,
  /** Commands before a login other than those that log in. */
  commandsMax: 50,
  /** The reply to the n-th failed try is delayed n times this long. */
  failureDelayMilliseconds: 1000,
  /** Silence of a session after the login: its own program ends it long before. */
  relayIdleMillisecondsMax: 3_600_000,
} as const satisfies Record<string, number>

export type LoginLimits = { readonly [Name in keyof typeof limits]: number }
