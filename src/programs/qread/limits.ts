/** Every limit and deadline of qread. */

/** Connections at once, as tcpserver's. */
export const connectionsMax = 40
/** A page that is not read for so long ends its connection. */
export const idleMillisecondsMax = 60_000
