/** Every limit and deadline of the policy process. */

/** RFC 7208 §4.6.4: at least 20 s for one evaluation; then temperror. */
export const spfMillisecondsMax = 20_000
/** A longer record is a syntax error: RFC 7208 §3.4 recommends at most 450 bytes, and each record may hold a dozen macros. */
export const spfRecordBytesMax = 4_096
/** For all lookups of one message: its keys and SPF first, then its author's policy. smtpd waits a little longer. */
export const authMillisecondsMax = 18_000
export const authFirstMillisecondsMax = 12_000
/** For an address's name and the name's addresses together; after it the address counts as nameless. */
export const nameMillisecondsMax = 5_000
/** An address may have many names: this many are examined. */
export const namesMax = 10
/** For all lists together; without an answer by then, the address counts as not listed. */
export const dnsblMillisecondsMax = 5_000
/** An answer is not reused after this time, even if the DNS allows longer: an administrator who changes a record, or has an
 *  address removed from a list, should not have to wait for us. */
export const freshMillisecondsMax = 300_000
/** SPF evaluations kept for further senders of the same domain and address. */
export const spfRememberedMax = 10_000
/** Questions under way on one connection, and in all. More get no answer. */
export const questionsPerConnectionMax = 5_000
export const questionsMax = 10_000
export const connectionsMax = 100
/** Time and tries for one name server. */
export const checkQueryLimits = { queryMilliseconds: 1_500, triesMax: 2 } as const
/** How often expired triples are removed; while there are more, every `expireAgainMilliseconds`. */
export const expireMilliseconds = 60_000
export const expireAgainMilliseconds = 200
/** A store that could not be opened is tried again after this time. */
export const storeRetryMilliseconds = 30_000
/** For smtpd to tell the action on a failing message, which may need a lookup of the client's name first. */
export const receiptMillisecondsMax = 60_000
export const receiptsMax = 10_000
/** Rows, and domains, between two visits to the store. */
export const countedMax = 20_000
export const storeMilliseconds = 60_000
/** Reports about yesterday begin after midnight (UTC) and a random time, and go one by one, slowly: a host that takes reports
 *  gets everyone's at that hour. */
export const reportsAfterMilliseconds = { min: 5 * 60_000, max: 4 * 3_600_000 } as const
export const betweenReportsMilliseconds = { min: 10_000, max: 30_000 } as const
export const reportsPerDayMax = 500
/** Compressed; others accept this much (RFC 9990 §3.5). */
export const reportBytesMax: number = 10 * 1024 * 1024
/** For the lookups about one receiver. */
export const destinationMillisecondsMax = 20_000
/** When the DNS, or the queue, did not answer. */
export const reportRetryMilliseconds = 3_600_000
export const suppressedMilliseconds: number = 30 * 86_400_000
