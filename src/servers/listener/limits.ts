/** Limits and deadlines of connections, whatever is spoken on them. Handed in as a value, so that a test can wait less. */
export const listenerLimits = {
  handshakeMillisecondsMax: 30_000,
  /** After our last reply the peer has so long to close; what it sends until then is thrown away. */
  lingerMillisecondsMax: 5000,
  stopMillisecondsMax: 10_000,

  /** Loopback is counted in none of these. A control file (concurrencyincoming and its kin) sets this one … */
  connectionsMax: 1000,
  /** … and control/concurrencyperip this: from one IPv4 address or one IPv6 /64. */
  connectionsPerPeerMax: 50,
  /** They give up their places to others, and are told so: more at once, and they are not. They are not counted any more, but
   *  have their descriptors. */
  leavingMax: 64,
  /** Proxies that are let in beyond `connectionsMax`. */
  unannouncedMax: 64,
  /** From one of them, begun in one minute. */
  connectionsPerMinuteMax: 300,

  /** GREETDELAY is cut here. */
  greetDelaySecondsMax: 60,
  /** A listed proxy has so long to say whom it brings. */
  proxyHeaderMillisecondsMax: 5000,

  /** Input that waits while the dialogue is busy: more, and the socket is not read. */
  pendingInputBytesMax: 65_536,
  /** Replies that the peer does not read: more, and it is not read either. */
  pendingRepliesBytesMax: 65_536,
} as const satisfies Record<string, number>

export type ListenerLimits = { readonly [Name in keyof typeof listenerLimits]: number }
