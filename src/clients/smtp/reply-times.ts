/** How long a server may take to answer (RFC 5321 §4.5.3.2), each cut by control/timeoutremote. */
export const replyMilliseconds = {
  greeting: 300_000,
  hello: 300_000,
  startTls: 120_000,
  handshake: 60_000,
  login: 120_000,
  mail: 300_000,
  recipient: 300_000,
  data: 120_000,
  block: 180_000,
  finalDot: 600_000,
} as const
