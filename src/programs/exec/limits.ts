/** Every limit of the exec program that a request does not bring along. */
export const limits = {
  /** At once; the others wait. Filters have places of their own: they take long. */
  plugInsMax: 50,
  filtersMax: 20,
  /** More than so many waiting: `busy` at once. */
  waitingMax: 2000,
  /** Of what one program says on descriptor 2. */
  logLinesMax: 50,
  logLineBytesMax: 800,
  /** A chain of filters, and its share of the time that an SMTP client waits for the end of DATA (600 s). */
  chainMillisecondsMax: 300_000,
} as const
