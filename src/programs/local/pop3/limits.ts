/** Every limit and deadline of a POP3 session but `timeoutpop3d`, which is a control file, the length of a command
 *  (protocols/pop3/command.ts) and the number of messages (stores/maildir/maildrop.ts). Handed in as a value, so that a
 *  test can wait less. */
export const limits = {
  /** Bytes that leave in one write: the unit of back-pressure. */
  pieceBytes: 16_384,
  /** A piece that the client has not taken by then ends the session: slower than 90 bytes a second. */
  stallMillisecondsMax: 180_000,
  /** A session from whose client nothing was heard for so long ends when the account logs in again: a telephone that went
   *  out of reach comes back by another connection, and the first looks alive for as long as an idle one may wait. */
  silenceMillisecondsMax: 30_000,
  /** Commands that wait while one is answered: more, and the socket is not read. */
  pendingInputBytesMax: 16_384,
  /** Of a message, read at once. */
  readBytes: 32_768,
  /** Commands answered without letting others work. */
  commandsAtOnce: 32,
  /** After our last reply the client has so long to close; what it sends until then is thrown away. */
  lingerMillisecondsMax: 5000,
} as const satisfies Record<string, number>

export type Limits = { readonly [Name in keyof typeof limits]: number }
