/** Limits and deadlines of QMTP and QMQP. */
import { recipientsMax } from '../../contracts/envelope.ts'
import { listenerLimits } from '../../servers/listener/limits.ts'

export const limits = {
  ...listenerLimits,
  /** Other mail servers hold few connections, with much traffic each. */
  connectionsMax: 200,
  /** Of one netstring; qmail's limit. */
  bytesMax: 200_000_000,
  addressBytesMax: 999,
  recipientsMax,
  /** Of silence, within a package and between two. */
  idleMillisecondsMax: 300_000,
  /** Content in memory on its way to the queue, of all connections. */
  contentBytesInFlightMax: 67_108_864,
  /** qmail's limit. */
  sessionMillisecondsMax: 3_600_000,
} as const satisfies Record<string, number>

export type QmtpdLimits = { readonly [Name in keyof typeof limits]: number }
