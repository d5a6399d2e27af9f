/** Every limit and deadline of the policy process. */

/** RFC 7208 §4.6.4: at least 20 s for one evaluation; then temperror. */
export const spfMillisecondsMax = 20_000
/** A longer record is a syntax error: RFC 7208 §3.4 asks for 450 bytes, and each may name a dozen macros. */
export const spfRecordBytesMax = 4_096
/** For all that is asked about one message: its keys and SPF first, then the policy of its author. smtpd waits a little
 *  longer. */
export const authMillisecondsMax = 18_000
export const authFirstMillisecondsMax = 12_000
/** For a name, and for the way back; then it has none. */
export const nameMillisecondsMax = 5_000
/** An address may have many names: so many are looked at. */
export const namesMax = 10
/** For all lists together; what has not answered by then is not listed. */
export const dnsblMillisecondsMax = 5_000
/** An answer is not used again after so long, however long the DNS would allow: an administrator who changed a record, or
 *  had an address taken from a list, should not wait for us. */
export const freshMillisecondsMax = 300_000
/** Evaluations of SPF that are kept for the next sender of the same domain and address. */
export const spfRememberedMax = 10_000
/** Questions under way on one connection, and in all. More get no answer. */
export const questionsPerConnectionMax = 5_000
export const questionsMax = 10_000
export const connectionsMax = 100
/** One name server is asked so long, so often. */
export const checkQueryLimits = { queryMilliseconds: 1_500, triesMax: 2 } as const
/** Expired triples are looked for so often; while there are more, at `expireAgainMilliseconds`. */
export const expireMilliseconds = 60_000
export const expireAgainMilliseconds = 200
/** A store that could not be opened is tried again so much later. */
export const storeRetryMilliseconds = 30_000
/** smtpd says what became of a message that fails, once it has asked who the client is. */
export const receiptMillisecondsMax = 60_000
export const receiptsMax = 10_000
/** Rows, and domains, between two visits to the store. */
export const countedMax = 20_000
export const storeMilliseconds = 60_000
/** Reports about yesterday begin after midnight (UTC) and a random time, and go one by one, at a walk: a host that takes
 *  reports gets those of all the world at that hour. */
export const reportsAfterMilliseconds = { min: 5 * 60_000, max: 4 * 3_600_000 } as const
export const betweenReportsMilliseconds = { min: 10_000, max: 30_000 } as const
export const reportsPerDayMax = 500
/** Compressed (RFC 9990 §3.5: what others take). */
export const reportBytesMax: number = 10 * 1024 * 1024
/** For the questions about one receiver. */
export const destinationMillisecondsMax = 20_000
/** When the DNS, or the queue, did not answer. */
export const reportRetryMilliseconds = 3_600_000
export const suppressedMilliseconds: number = 30 * 86_400_000
