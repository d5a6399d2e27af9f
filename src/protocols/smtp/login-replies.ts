/** What submission says before a login: authup's words where it has them, the replies of RFC 4954. */
import { coded, type Reply } from './replies.ts'

export const loginReplies = {
  authenticationRequired: coded(530, '5.7.0', 'authup authentication required'),
  tlsFirst: coded(530, '5.7.0', 'authup must start TLS first'),
  credentials: coded(535, '5.7.8', 'authup authorization failed'),
  malformed: coded(501, '5.5.4', 'authup malformed authentication'),
  authenticated: coded(503, '5.5.1', 'you are authenticated already'),
  mechanism: coded(504, '5.5.4', 'authup unknown authentication mechanism'),
  cancelled: coded(501, '5.0.0', 'authup authentication cancelled'),
  locked: coded(454, '4.7.0', 'authup too many failures, try again later'),
  temporary: coded(454, '4.3.0', 'authup unable to check, try again later'),
  busy: coded(454, '4.3.2', 'authup too many sessions, try again later'),
  noMailbox: coded(454, '4.3.0', 'authup no mailbox for this account'),
  tooManyCommands: coded(421, '4.7.0', 'authup too many commands'),
  lineTooLong: coded(500, '5.5.6', 'authup line too long'),
  timeout: coded(451, '4.4.2', 'authup timeout'),
} as const satisfies Record<string, Reply>

/** A challenge of SASL, in base64 (RFC 4954 §4). */
export function formatSaslChallenge(base64: string): string {
  return `334 ${base64}\r\n`
}
