/** Every limit and deadline of authd, and how it deals with failures. */
import { availableParallelism } from 'node:os'

/** An exchange, from its first message to its last, the client's thinking included. */
export const exchangeMillisecondsMax = 60_000
export const exchangesPerConnectionMax = 5_000
export const exchangesMax = 10_000
export const connectionsMax = 100

/** Hashes at once: each takes 19 MiB and a thread, and one processor stays free of them, where there are several. More
 *  wait, up to `hashesWaitingMax`, so long; then `temporary`. */
export const hashesAtOnceMax: number = Math.max(1, Math.min(2, availableParallelism() - 1))
export const hashesWaitingMax = 300
export const hashWaitMillisecondsMax = 15_000

/** What was right stays right so long, unless the file changes. */
export const successLimits = { milliseconds: 5 * 60_000, countMax: 10_000 } as const
/** The same wrong password from the same peer is one guess, and costs no second hash. */
export const repeatLimits = { milliseconds: 24 * 60 * 60_000, countMax: 50_000 } as const

/** Whose uid a name is: a process each time, where the name service knows more than /etc/passwd. */
export const uidLimits = { milliseconds: 10_000, countMax: 10_000 } as const

/** lspawn's answers; an external checker may be slow on purpose. */
export const admitMillisecondsMax = 10_000
export const checkMillisecondsMax = 25_000
export const checksAtOnceMax = 20

/** A file that was edited in place is believed when it has not changed for so long; one that was replaced, at once. */
export const settledMilliseconds = 1_000
export const pollMilliseconds = 500
/** Faults of the file that are named in the log, each time it is read. */
export const faultsToldMax = 20

/** The failure of this number is the first that locks; each after it locks twice as long as the one before. */
export const locksFrom = { peer: 10, account: 20 } as const
export const lockMillisecondsMin = 30_000
export const lockMillisecondsMax: number = 60 * 60_000
/** Without a failure for so long, all are forgotten. */
export const forgetMilliseconds: number = 24 * 60 * 60_000
/** A network from which the account was used so lately is not held up by the account's lock. */
export const knownNetworkMilliseconds: number = 30 * 24 * 60 * 60_000
/** Passwords under check at once for one peer or account that has failures to spare; afterwards one. */
export const checkedAtOnceMax = 64
/** Failed logins that the command line is shown. */
export const failuresShownMax = 1_000
/** Locked names, of accounts or not, that are looked at for what troubles authd. */
export const lockedLookedAtMax = 10_000
/** Old rows are looked for so often; while there are more, at `expireAgainMilliseconds`. */
export const expireMilliseconds = 60_000
export const expireAgainMilliseconds = 200

/** The file of issuers' keys is read again so often, when tokens come. */
export const issuerKeysMilliseconds = 5_000
/** Between an issuer's clock and ours. */
export const tokenSkewSeconds = 60
