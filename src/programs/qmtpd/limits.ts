/** Limits and deadlines of QMTP and QMQP. */
import { recipientsMax } from '../../contracts/envelope.ts'
import { listenerLimits } from '../../servers/listener/limits.ts'

export const limits = {
  ...listenerLimits,
  /** Other mail programs hold few connections, each with much to say. */
  connectionsMax: 200,
  /** Of one netstring, as qmail has it. */
  bytesMax: 200_000_000,
  addressBytesMax: 999,
  recipientsMax,
  /** Of silence, within a package and between two. */
  idleMillisecondsMax: 300_000,
  /** On its way to the queue, in memory, of all connections. */
  contentBytesInFlightMax: 67_108_864,
  /** qmail's alarm. */
  sessionMillisecondsMax: 3_600_000,
} as const satisfies Record<string, number>

export type QmtpdLimits = { readonly [Name in keyof typeof limits]: number }
