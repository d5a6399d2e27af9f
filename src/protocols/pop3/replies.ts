/** Replies of a POP3 session after login, in the words of qmail-pop3d: also `+OK` is followed by a space. Response codes
 *  in brackets (RFC 2449 §8, RFC 3206) stand where a session is refused: without one, mail programs take a refusal for a
 *  wrong password. */
import type { ByteString } from '../../base/byte-string.ts'

export const okReply = '+OK \r\n'
/** Ends a listing. A message ends with the encoder's `end()`. */
export const endOfListing = '.\r\n'

/** Instead of `+OK`: there is no session. */
export const refusals = {
  noMaildir: '[SYS/PERM] this user has no $HOME/Maildir',
  tooManyMessages: '[SYS/PERM] too many messages in $HOME/Maildir',
  unscannable: '[SYS/TEMP] unable to scan $HOME/Maildir',
  inUse: '[IN-USE] another session has $HOME/Maildir open',
  shuttingDown: '[SYS/TEMP] shutting down, try again soon',
} as const

export const errors = {
  syntax: 'syntax error',
  countedFromOne: 'messages are counted from 1',
  notThatMany: 'not that many messages',
  alreadyDeleted: 'already deleted',
  cannotOpen: 'unable to open that message',
  unimplemented: 'unimplemented',
  cannotUnlink: 'unable to unlink all deleted messages',
  lineTooLong: 'line too long',
} as const

export function okWith(text: ByteString): ByteString {
  return `+OK ${text}\r\n`
}

export function errorReply(text: ByteString): ByteString {
  return `-ERR ${text}\r\n`
}
