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
  /** Connections that have given up their places and are still being told so; beyond this they are closed without a word.
   *  They are no longer counted, but hold descriptors. */
  leavingMax: 64,
  /** Proxies that are let in beyond `connectionsMax`. */
  unannouncedMax: 64,
  /** Connections begun in one minute from one such address. */
  connectionsPerMinuteMax: 300,

  /** GREETDELAY is cut here. */
  greetDelaySecondsMax: 60,
  /** A listed proxy has so long to send its header. */
  proxyHeaderMillisecondsMax: 5000,

  /** Input that waits while the dialogue is busy; beyond this the socket is not read. */
  pendingInputBytesMax: 65_536,
  /** Replies that the peer has not read; beyond this its input is not read either. */
  pendingRepliesBytesMax: 65_536,
} as const satisfies Record<string, number>

export type ListenerLimits = { readonly [Name in keyof typeof listenerLimits]: number }
