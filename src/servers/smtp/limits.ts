/** Limits and deadlines of a session in which messages are taken by SMTP. Limits of decoded content (line, header, hops)
 *  are in protocols/smtp/data-decoder.ts, of an address in protocols/smtp/address.ts. */
export const smtpLimits = {
  /** RFC 5321 §4.5.3.1.4 asks for 512; extensions want more. Longer: 500 and close. */
  commandLineBytesMax: 2048,
  /** RFC 5321 §4.5.3.1.8 asks for 100. More: 452. */
  recipientsMax: 1000,
  /** More in one session: 421; a peer with more to say connects again. */
  messagesMax: 500,

  /** Replies 5yz since the last accepted message: from here on each takes `errorDelayMilliseconds` longer … */
  errorsSoftMax: 5,
  errorDelayMilliseconds: 1000,
  /** … and here it ends with 421. */
  errorsHardMax: 20,
  unknownCommandsMax: 5,
  /** HELO, EHLO, NOOP, RSET, VRFY, HELP since the last accepted message. */
  idleCommandsMax: 50,

  /** Between two reads while content comes (RFC 5321 §4.5.3.2.5), if timeoutsmtpd is not less. */
  contentIdleMillisecondsMax: 180_000,
  /** Content slower than this, once it has had `contentGraceMilliseconds`, is given up. */
  contentBytesPerSecondMin: 100,
  contentGraceMilliseconds: 60_000,
  sessionMillisecondsMax: 3_600_000,

  /** Content gathered in all sessions of a process. Above, every session streams to the queue what it has. */
  contentBytesInFlightMax: 67_108_864,
} as const satisfies Record<string, number>

export type SmtpLimits = { readonly [Name in keyof typeof smtpLimits]: number }
