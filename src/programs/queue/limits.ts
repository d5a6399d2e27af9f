/** Every limit of the queue process, with its unit. */

/** Content that waits for a commit, over all connections; above it, connections are not read. */
export const uncommittedBytesMax: number = 64 * 1024 * 1024
/** Content of one stream that waits to be written to its file; above it, its connection is not read. */
export const unwrittenBytesMax: number = 1024 * 1024
/** `queue-inject`, which everybody on the machine may open: connections, streamed messages and bytes of unfinished
 *  frames, in all and for one uid. */
export const handInConnectionsMax = 1000
export const handInConnectionsPerUidMax = 200
export const handInStreamsPerUidMax = 50
export const handInUnfinishedBytesMax: number = 64 * 1024 * 1024
export const handInUnfinishedBytesPerUidMax: number = 16 * 1024 * 1024
/** There, a connection from which no whole frame comes for so long is closed, and so is one whose replies of so many
 *  bytes nobody reads. */
export const handInIdleMilliseconds = 60_000
export const handInUnreadBytesMax: number = 64 * 1024
/** Passes held in memory per channel, and the recipients of their messages, some 3 KB each; what is due beyond them stays on
 *  disk until there is room. New mail to no more than `fewRecipients` does not wait for room that large lists hold. */
export const passesInMemoryMax = 500
export const recipientsInMemoryMax = 50_000
export const fewRecipients = 20
/** Messages looked for on disk at a time, and brought in at a time. */
export const scanBatchMax = 100
export const loadBatchMax = 20
/** Groups that wait in memory for one share of the slots; messages beyond them are set aside by id. */
export const shareWaitingMax = 50
/** Ids set aside, per channel; beyond them passes wait in memory and no more is brought in. */
export const parkedMax = 1_000_000
/** Local deliveries at once for one uid: what its `local` holds. */
export const deliveriesPerUidMax = 50
/** The clock may be set while the schedule sleeps: it looks at it again after so long. */
export const wakeMillisecondsMax = 300_000
/** Reports kept of one message's recipients. What comes beyond them is kept by its beginning. */
export const reportBytesMax: number = 256 * 1024
export const reportBeginningBytesMax = 200
/** Of the part of a bounce that names the failed recipients; beyond it they are counted. */
export const bounceReportBytesMax: number = 1024 * 1024
/** Share of the remote slots that the mail of one uid, or of one client that relays, may hold. */
export const originShare = 0.75
/** Share of the slots that retries may take while new mail waits. */
export const retryShare = 0.8
/** Recipients in one remote transaction (RFC 5321 §4.5.3.1.8 has servers take 100). */
export const recipientsPerAttemptMax = 100
/** A group whose deliverer crashed is tried again at once, so often; then it is a deferral. */
export const crashesMax = 2
/** An answer of lspawn is used again for so long. */
export const resolutionSeconds = 5
export const resolutionsMax = 10_000
/** How long a resolved recipient waits for its `local` to serve before lspawn is asked again, and how often: longer than
 *  lspawn waits for it. */
export const localConnectMilliseconds = 500
export const localConnectTries = 50
/** A bounce that could not be injected, a change that could not be committed. */
export const injectAgainSeconds = 123
export const commitAgainSeconds = 10
/** An attempt without a report: longer than any program of a `.qmail` may run, or any conversation lasts. */
export const attemptMillisecondsMax: number = (24 * 60 + 15) * 60_000
export const attemptLookMilliseconds = 60_000
/** Running deliveries are waited for at a stop; what is not reported by then is tried again after the next start. */
export const stopMillisecondsMax = 12_000
/** An attempt whose host has its share of them comes again after the first of these, then twice as long, up to the second. */
export const asideMillisecondsMin = 500
export const asideMillisecondsMax = 8_000
