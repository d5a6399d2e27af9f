/** What submission says before a login: authup's words where it has them, the replies of RFC 4954. */
import type { Reply } from './replies.ts'

export const loginReplies = {
  authenticationRequired: { code: 530, text: 'authup authentication required (#5.7.0)' },
  tlsFirst: { code: 530, text: 'authup must start TLS first (#5.7.0)' },
  credentials: { code: 535, text: 'authup authorization failed (#5.7.8)' },
  malformed: { code: 501, text: 'authup malformed authentication (#5.5.4)' },
  authenticated: { code: 503, text: 'you are authenticated already (#5.5.1)' },
  mechanism: { code: 504, text: 'authup unknown authentication mechanism (#5.5.4)' },
  cancelled: { code: 501, text: 'authup authentication cancelled (#5.0.0)' },
  locked: { code: 454, text: 'authup too many failures, try again later (#4.7.0)' },
  temporary: { code: 454, text: 'authup unable to check, try again later (#4.3.0)' },
  busy: { code: 454, text: 'authup too many sessions, try again later (#4.3.2)' },
  noMailbox: { code: 454, text: 'authup no mailbox for this account (#4.3.0)' },
  tooManyCommands: { code: 421, text: 'authup too many commands (#4.7.0)' },
  lineTooLong: { code: 500, text: 'authup line too long (#5.5.6)' },
  timeout: { code: 451, text: 'authup timeout (#4.4.2)' },
} as const satisfies Record<string, Reply>

/** A challenge of SASL, in base64 (RFC 4954 §4). */
export function formatSaslChallenge(base64: string): string {
  return `334 ${base64}\r\n`
}
