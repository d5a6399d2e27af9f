/** Every limit and interval of acme. */

/** HOME/tls and control/ are looked at again so often. */
export const lookMilliseconds = 60_000
/** Whether a name leads here is believed for so long. */
export const leadsLimits = { milliseconds: 600_000, countMax: 1000 } as const
/** An authority that looks at a challenge, or makes a certificate. */
export const answerMillisecondsMax = 180_000
/** Between two questions about it, unless the authority says. */
export const pollMillisecondsMin = 500
export const pollMillisecondsMax = 15_000
/** A hook has to wait until every name server of the zone has the record. */
export const hookMillisecondsMax = 600_000
/** Of what a hook says, for the log. */
export const hookOutputBytesMax: number = 4 * 1024

const hourMilliseconds = 3_600_000
/** Attempts that somebody asks for: authorities lock out who fails five times in an hour, or gets five certificates for the same
 *  names in a week. */
export const failuresInAnHourMax = 4
export const issuedInAWeekMax = 4
export const failuresWithinMilliseconds: number = hourMilliseconds
export const issuedWithinMilliseconds: number = 7 * 24 * hourMilliseconds
