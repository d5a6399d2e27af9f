/** Every reply of the SMTP server, in qmail's words where qmail has them.
 *  The enhanced status code (RFC 3463) in front is for clients that said EHLO (RFC 2034); it is the one in the
 *  parentheses at the end, if its class agrees with the reply code. */
import type { Failure } from '../../base/outcome.ts'

export interface Reply {
  readonly code: number
  readonly text: string
  /** For texts without `(#x.y.z)`; undefined: never one (greeting, HELO, EHLO, 3yz). */
  readonly status?: string
}

export const replies = {
  mailOk: { code: 250, text: 'ok', status: '2.1.0' },
  recipientOk: { code: 250, text: 'ok', status: '2.1.5' },
  noopOk: { code: 250, text: 'ok', status: '2.0.0' },
  flushed: { code: 250, text: 'flushed', status: '2.0.0' },
  verify: { code: 252, text: "send some mail, i'll try my best", status: '2.5.0' },
  help: { code: 214, text: 'notqmail home page: https://notqmail.org', status: '2.0.0' },
  goAhead: { code: 354, text: 'go ahead' },
  startTls: { code: 220, text: 'ready to start TLS', status: '2.0.0' },

  timeout: { code: 451, text: 'timeout (#4.4.2)' },
  sessionTooLong: { code: 421, text: 'session too long (#4.4.2)' },
  shuttingDown: { code: 421, text: 'shutting down, try again soon (#4.3.2)' },
  tooManyConnections: { code: 421, text: 'too many connections, try again later (#4.3.2)' },
  tooManyFromYou: { code: 421, text: 'too many connections from your address, try again later (#4.7.0)' },
  tooFast: { code: 421, text: 'you connect too often, try again later (#4.7.0)' },
  tooManyErrors: { code: 421, text: 'too many errors (#4.7.0)' },
  tooManyCommands: { code: 421, text: 'too many commands without mail (#4.7.0)' },
  tooManyMessages: { code: 421, text: 'too many messages in one session, connect again (#4.7.0)' },
  unreadableControls: { code: 421, text: 'unable to read controls (#4.3.0)' },
  tooManyRecipients: { code: 452, text: 'too many recipients (#4.5.3)' },

  lineTooLong: { code: 500, text: 'line too long (#5.5.2)' },
  controlCharacter: { code: 501, text: 'control character in command (#5.5.2)' },
  syntaxParameter: { code: 501, text: 'syntax error in parameters (#5.5.4)' },
  syntaxNoParameters: { code: 501, text: 'syntax error, no parameters allowed (#5.5.4)' },
  unimplemented: { code: 502, text: 'unimplemented (#5.5.1)' },
  mailFirst: { code: 503, text: 'MAIL first (#5.5.1)' },
  recipientFirst: { code: 503, text: 'RCPT first (#5.5.1)' },
  inTransaction: { code: 503, text: 'not in a transaction (#5.5.1)' },
  denied: { code: 554, text: 'access denied (#5.7.1)' },
  tlsAlready: { code: 503, text: 'TLS is on already (#5.5.1)' },
  badMailFrom: { code: 553, text: 'sorry, your envelope sender is in my badmailfrom list (#5.7.1)' },
  notInRcptHosts: { code: 553, text: "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)" },
  noDomain: { code: 553, text: 'sorry, what is behind the @ is no domain (#5.1.3)' },
  senderOfOurs: { code: 553, text: 'sorry, no host on the network may send as that (#5.1.7)' },
  controlInAddress: { code: 553, text: 'sorry, control characters are not allowed in addresses (#5.1.3)' },
  syntax: { code: 555, text: 'syntax error (#5.5.4)' },
  unknownParameter: { code: 555, text: 'parameter not recognized (#5.5.4)' },

  tooManyHops: { code: 554, text: 'too many hops, this message is looping (#5.4.6)' },
  tooBig: { code: 552, text: 'sorry, that message size exceeds my databytes limit (#5.3.4)' },
  headerTooBig: { code: 552, text: 'sorry, that message has too large a header (#5.3.4)' },
  bareLf: {
    code: 554,
    text: 'bare LF in message, lines end with CRLF; see https://cr.yp.to/docs/smtplf.html (#5.6.0)',
  },
  bareCr: { code: 554, text: 'bare CR in message, lines end with CRLF (#5.6.0)' },
  nulByte: { code: 554, text: 'NUL byte in message (#5.6.0)' },
  tlsFirst: { code: 530, text: 'Must start TLS first (#5.7.0)' },
  tlsNotNow: { code: 454, text: 'TLS not available now (#4.7.0)' },
  outOfTurn: { code: 554, text: 'smtp protocol violation (#5.5.1)' },
} as const satisfies Record<string, Reply>

/** RFC 3463 §3.4: mail system full. RFC 5321 §4.2.3 gives it a code of its own. */
const systemFull = '(#4.3.1)'

export function refusal(failure: Failure): Reply {
  const temporary = failure.peerText.endsWith(systemFull) ? 452 : 451
  return {
    code: failure.class === 5 ? 554 : temporary,
    text: failure.peerText,
    status: `${failure.class}.3.0`,
  }
}

/** To a session whose time is up. */
export const overdueReplies = {
  'session-too-long': replies.sessionTooLong,
  idle: replies.timeout,
  'content-idle': replies.timeout,
  'content-slow': replies.timeout,
} as const

export const faultReplies = { 'bare-lf': replies.bareLf, 'bare-cr': replies.bareCr, nul: replies.nulByte } as const

export function goodbye(greeting: string): Reply {
  return { code: 221, text: greeting, status: '2.0.0' }
}

export function accepted(unixSeconds: number, qp: number): Reply {
  return { code: 250, text: `ok ${unixSeconds} qp ${qp}`, status: '2.0.0' }
}

/** One line with its CRLF. `enhanced`: the client said EHLO. */
export function formatReply(reply: Reply, enhanced: boolean): string {
  const status = enhanced ? statusOf(reply) : undefined
  return status === undefined ? `${reply.code} ${reply.text}\r\n` : `${reply.code} ${status} ${reply.text}\r\n`
}

/** To EHLO (RFC 5321 §4.1.1.1). `sizeMax` (RFC 1870) of 0: no limit, or none that is told. */
export function formatExtensions(greeting: string, sizeMax: number, startTls: boolean, more?: string): string {
  const lines = [greeting, 'PIPELINING', sizeMax > 0 ? `SIZE ${sizeMax}` : 'SIZE', 'ENHANCEDSTATUSCODES']
  if (startTls) lines.push('STARTTLS')
  if (more !== undefined) lines.push(more)
  return `${lines.map((line) => `250-${line}\r\n`).join('')}250 8BITMIME\r\n`
}

function statusOf(reply: Reply): string | undefined {
  const found = /\(#([245]\.\d{1,3}\.\d{1,3})\)$/.exec(reply.text)?.[1]
  const agrees = found !== undefined && found[0] === String(reply.code)[0]
  return agrees ? found : reply.status
}
