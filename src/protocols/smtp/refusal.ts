/** What a refusal is about: the message and its recipients, or how we use the connection (how many recipients in a
 *  transaction, how many transactions on a connection). Servers say the second in many ways (RFC 5321 §4.5.3.1.10,
 *  RFC 3463 §3.6: X.5.3), old ones with codes that mean something else. */
import type { Reply } from './reply-parser.ts'

/** From here on a code is no acceptance. 3xx is no answer to MAIL, RCPT or the final dot: not understood. */
export const refusedFrom = 300
/** The server is closing this connection (RFC 5321 §3.8). */
export const closingCode = 421

/** The reply says that it is about our use of the connection. */
export function blamesOurUse(reply: Reply): boolean {
  const [subject, detail] = enhancedCode(reply) ?? []
  return (subject === 5 && detail === 3) || words.test(reply.text)
}

/** It says so, or has a code that old servers use for it and names neither a mailbox nor a policy (X.1, X.2, X.7). */
export function mayBlameOurUse(reply: Reply): boolean {
  if (reply.code < refusedFrom) return false
  if (blamesOurUse(reply)) return true
  const enhanced = enhancedCode(reply)
  if (enhanced !== undefined) return reply.code < 500 && ![1, 2, 7].includes(enhanced[0])
  return [closingCode, 451, 452, 552].includes(reply.code)
}

const words =
  /too many|at a time|\b(?:per|a|one|this|same) (?:smtp )?(?:session|connection|transaction)|multiple (?:recipients|destination|domains|regions)/i

/** Subject and detail of the last line, which decides (RFC 2034). */
export function enhancedCode({ text }: Reply): readonly [subject: number, detail: number] | undefined {
  const last = text.slice(text.lastIndexOf('\n', text.length - 2) + 1)
  const [, subject, detail] = /^[0-9]{3}[ \t-][245]\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])/.exec(last) ?? []
  return subject === undefined ? undefined : [Number(subject), Number(detail)]
}
