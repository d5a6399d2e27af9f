/** Every limit and deadline of the SMTP server but `databytes` and `timeoutsmtpd`, which are control files. Limits of
 *  decoded content (line, header, hops) are in protocols/smtp/data-decoder.ts, of an address in
 *  protocols/smtp/address.ts. Handed to sessions as a value, so that a test can wait less. */
export const limits = {
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
  handshakeMillisecondsMax: 30_000,
  /** After our last reply the peer has so long to close; what it sends until then is thrown away. */
  lingerMillisecondsMax: 5000,
  stopMillisecondsMax: 10_000,

  /** Loopback is counted in none of these. control/concurrencyincoming sets this one … */
  connectionsMax: 1000,
  /** … and control/concurrencyperip this: from one IPv4 address or one IPv6 /64. */
  connectionsPerPeerMax: 50,
  /** From one of them, begun in one minute. */
  connectionsPerMinuteMax: 300,

  /** GREETDELAY is cut here. */
  greetDelaySecondsMax: 60,
  /** A listed proxy has so long to say whom it brings. */
  proxyHeaderMillisecondsMax: 5000,

  /** Input that waits while a message is being committed: more, and the socket is not read. */
  pendingInputBytesMax: 65_536,
  /** Replies that the peer does not read: more, and it is not read either. */
  pendingRepliesBytesMax: 65_536,
  /** Content gathered in all sessions. Above, every session streams to the queue what it has. */
  contentBytesInFlightMax: 67_108_864,
} as const satisfies Record<string, number>

export type Limits = { readonly [Name in keyof typeof limits]: number }
