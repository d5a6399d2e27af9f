/** Every limit and interval of acme. */

/** How often HOME/tls and control/ are checked again. */
export const lookMilliseconds = 60_000
/** How long a finding that a name leads here, or not, is used. */
export const leadsLimits = { milliseconds: 600_000, countMax: 1000 } as const
/** How long an authority may take to validate a challenge, or to issue a certificate. */
export const answerMillisecondsMax = 180_000
/** Between two polls, unless the authority gives a time. */
export const pollMillisecondsMin = 500
export const pollMillisecondsMax = 15_000
/** Long, since a hook has to wait until every name server of the zone has the record. */
export const hookMillisecondsMax = 600_000
/** Of a hook's output, for the log. */
export const hookOutputBytesMax: number = 4 * 1024

const hourMilliseconds = 3_600_000
/** For attempts on request: authorities lock out an account after five failures in an hour, or five certificates for the same
 *  names in a week. */
export const failuresInAnHourMax = 4
export const issuedInAWeekMax = 4
export const failuresWithinMilliseconds: number = hourMilliseconds
export const issuedWithinMilliseconds: number = 7 * 24 * hourMilliseconds
