/** Every limit and deadline of authd, and its locks. */
import { availableParallelism } from 'node:os'

/** An exchange, from its first message to its last, with the client's time. */
export const exchangeMillisecondsMax = 60_000
export const exchangesPerConnectionMax = 5_000
export const exchangesMax = 10_000
export const connectionsMax = 100

/** Hashes at once: each takes 19 MiB and a thread; of several processors one is left free. Up to `hashesWaitingMax` more wait
 *  for `hashWaitMillisecondsMax`, then get `temporary`. */
export const hashesAtOnceMax: number = Math.max(1, Math.min(2, availableParallelism() - 1))
export const hashesWaitingMax = 300
export const hashWaitMillisecondsMax = 15_000

/** How long a right password is remembered, unless the file changes. */
export const successLimits = { milliseconds: 5 * 60_000, countMax: 10_000 } as const
/** The same wrong password from the same peer is one guess, and costs no second hash. */
export const repeatLimits = { milliseconds: 24 * 60 * 60_000, countMax: 50_000 } as const

/** A name's uid: each lookup costs a process if the name service has more than /etc/passwd. */
export const uidLimits = { milliseconds: 10_000, countMax: 10_000 } as const

/** lspawn's answers; an external checker may be slow on purpose. */
export const admitMillisecondsMax = 10_000
export const checkMillisecondsMax = 25_000
export const checksAtOnceMax = 20

/** A file edited in place is read when it has not changed for this long; a replaced one at once. */
export const settledMilliseconds = 1_000
export const pollMilliseconds = 500
/** Faults named in the log at each reading of the file. */
export const faultsToldMax = 20

/** The failure of this number is the first that locks; each after it locks twice as long as the one before. */
export const locksFrom = { peer: 10, account: 20 } as const
export const lockMillisecondsMin = 30_000
export const lockMillisecondsMax: number = 60 * 60_000
/** After this long without a failure, all are forgotten. */
export const forgetMilliseconds: number = 24 * 60 * 60_000
/** An account's lock does not apply to networks from which it logged in within this time. */
export const knownNetworkMilliseconds: number = 30 * 24 * 60 * 60_000
/** Passwords checked at once for one peer or account before its failures reach the limit; then one. */
export const checkedAtOnceMax = 64
/** Failed logins shown to the command line. */
export const failuresShownMax = 1_000
/** Locked names examined for authd's troubles, of accounts or not. */
export const lockedLookedAtMax = 10_000
/** How often old rows are removed; while there are more, every `expireAgainMilliseconds`. */
export const expireMilliseconds = 60_000
export const expireAgainMilliseconds = 200

/** How often the file of issuers' keys is read again while tokens come. */
export const issuerKeysMilliseconds = 5_000
/** Allowed between an issuer's clock and ours. */
export const tokenSkewSeconds = 60
