/** Every reply of the SMTP server, in qmail's words where qmail has them.
 *  The enhanced status code (RFC 3463) stands in parentheses at the end, as in qmail, and in front for clients that said
 *  EHLO (RFC 2034). */
import { codeOf, type Failure, type StatusCode } from '../../base/outcome.ts'

export interface Reply {
  readonly code: number
  readonly text: string
  /** Undefined: none (greeting, HELO, EHLO, 3yz, and what others say without one). */
  readonly status?: string | undefined
}

/** With its status after its words. */
export function coded(code: number, status: string, words: string): Reply {
  return { code, text: `${words} (#${status})`, status }
}

/** In the words of others: the status is what they put at the end, if it is of the code's class. */
export function quoted(code: number, text: string): Reply {
  const statusClass = Math.floor(code / 100)
  const found = codeAtEnd(statusClass, text)
  return { code, text, status: found && `${statusClass}.${found}` }
}

/** Subject and detail that a program of others has put after its words, if they are of that class. */
export function codeAtEnd(statusClass: number, text: string): StatusCode | undefined {
  const [, ofClass, subject, detail] = /\(#([245])\.(\d{1,3})\.(\d{1,3})\)$/.exec(text) ?? []
  return Number(ofClass) === statusClass ? `${Number(subject)}.${Number(detail)}` : undefined
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

  timeout: coded(451, '4.4.2', 'timeout'),
  sessionTooLong: coded(421, '4.4.2', 'session too long'),
  shuttingDown: coded(421, '4.3.2', 'shutting down, try again soon'),
  tooManyConnections: coded(421, '4.3.2', 'too many connections, try again later'),
  tooManyFromYou: coded(421, '4.7.0', 'too many connections from your address, try again later'),
  tooFast: coded(421, '4.7.0', 'you connect too often, try again later'),
  tooManyErrors: coded(421, '4.7.0', 'too many errors'),
  tooManyCommands: coded(421, '4.7.0', 'too many commands without mail'),
  tooManyMessages: coded(421, '4.7.0', 'too many messages in one session, connect again'),
  unreadableControls: coded(421, '4.3.0', 'unable to read controls'),
  hostsUnreadable: coded(451, '4.3.0', 'unable to read morercpthosts'),
  tooManyRecipients: coded(452, '4.5.3', 'too many recipients'),

  lineTooLong: coded(500, '5.5.2', 'line too long'),
  controlCharacter: coded(501, '5.5.2', 'control character in command'),
  syntaxParameter: coded(501, '5.5.4', 'syntax error in parameters'),
  syntaxNoParameters: coded(501, '5.5.4', 'syntax error, no parameters allowed'),
  unimplemented: coded(502, '5.5.1', 'unimplemented'),
  mailFirst: coded(503, '5.5.1', 'MAIL first'),
  recipientFirst: coded(503, '5.5.1', 'RCPT first'),
  inTransaction: coded(503, '5.5.1', 'not in a transaction'),
  denied: coded(554, '5.7.1', 'access denied'),
  tlsAlready: coded(503, '5.5.1', 'TLS is on already'),
  badMailFrom: coded(553, '5.7.1', 'sorry, your envelope sender is in my badmailfrom list'),
  notInRcptHosts: coded(553, '5.7.1', "sorry, that domain isn't in my list of allowed rcpthosts"),
  noDomain: coded(553, '5.1.3', 'sorry, what is behind the @ is no domain'),
  senderOfOurs: coded(553, '5.1.7', 'sorry, no host on the network may send as that'),
  controlInAddress: coded(553, '5.1.3', 'sorry, control characters are not allowed in addresses'),
  syntax: coded(555, '5.5.4', 'syntax error'),
  unknownParameter: coded(555, '5.5.4', 'parameter not recognized'),

  tooManyHops: coded(554, '5.4.6', 'too many hops, this message is looping'),
  tooBig: coded(552, '5.3.4', 'sorry, that message size exceeds my databytes limit'),
  headerTooBig: coded(552, '5.3.4', 'sorry, that message has too large a header'),
  bareLf: coded(554, '5.6.0', 'bare LF in message, lines end with CRLF; see https://cr.yp.to/docs/smtplf.html'),
  bareCr: coded(554, '5.6.0', 'bare CR in message, lines end with CRLF'),
  nulByte: coded(554, '5.6.0', 'NUL byte in message'),
  tlsFirst: coded(530, '5.7.0', 'Must start TLS first'),
  tlsNotNow: coded(454, '4.7.0', 'TLS not available now'),
  outOfTurn: coded(554, '5.5.1', 'smtp protocol violation'),
} as const satisfies Record<string, Reply>

export function refusal(failure: Failure): Reply {
  // RFC 3463 §3.4: mail system full. RFC 5321 §4.2.3 gives it a code of its own.
  const isSystemFull = failure.subject === 3 && failure.detail === 1
  const code = failure.replyCode ?? (failure.class === 5 ? 554 : isSystemFull ? 452 : 451)
  return { code, text: failure.peerText, status: codeOf(failure) }
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
  const status = enhanced ? reply.status : undefined
  return status === undefined ? `${reply.code} ${reply.text}\r\n` : `${reply.code} ${status} ${reply.text}\r\n`
}

/** To EHLO (RFC 5321 §4.1.1.1). `sizeMax` (RFC 1870) of 0: no limit, or none that is told. */
export function formatExtensions(greeting: string, sizeMax: number, startTls: boolean, more?: string): string {
  const lines = [greeting, 'PIPELINING', sizeMax > 0 ? `SIZE ${sizeMax}` : 'SIZE', 'ENHANCEDSTATUSCODES']
  if (startTls) lines.push('STARTTLS')
  if (more !== undefined) lines.push(more)
  return `${lines.map((line) => `250-${line}\r\n`).join('')}250 8BITMIME\r\n`
}
