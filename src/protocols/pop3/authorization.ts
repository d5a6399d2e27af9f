/** POP3 before login (RFC 1939 §4, 2595, 5034, 6856): what a line asks for, and the refusals. The words are those of
 *  qmail-popup, said the way authup says them, which is what sites of today see.
 *  Knows:  the grammar. Never: whether TLS is on or a password right. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseCommand } from './command.ts'
import { errorReply } from './replies.ts'

export type AuthorizationCommand =
  | { readonly kind: 'user'; readonly name: ByteString }
  /** As it came, spaces included. */
  | { readonly kind: 'pass'; readonly password: ByteString }
  /** `initial` is base64 still, or `=` for an empty one; undefined: none. */
  | { readonly kind: 'auth'; readonly mechanism: string; readonly initial: ByteString | undefined }
  /** AUTH alone, of old: lists mechanisms, as a listing. */
  | { readonly kind: 'mechanisms' }
  | { readonly kind: 'capa' | 'stls' | 'noop' | 'quit' | 'utf8' }
  /** USER without an argument, AUTH with a malformed one. */
  | { readonly kind: 'malformed' }
  | { readonly kind: 'other' }

export const authorizationErrors = {
  first: 'authup authorization first',
  userFirst: 'authup USER first',
  failed: '[AUTH] authup authorization failed',
  syntax: 'authup syntax error',
  tlsFirst: 'authup must start TLS first',
  tlsUnavailable: 'authup unimplemented',
  unknownMechanism: 'authup unimplemented mechanism',
  cancelled: 'authup authentication cancelled',
  temporary: '[SYS/TEMP] authup unable to check, try again later',
  locked: '[LOGIN-DELAY] authup too many failures, try again later',
  busy: '[IN-USE] authup too many sessions',
  lineTooLong: 'authup line too long',
} as const

/** `line` is without its LF; one CR before that is dropped here. */
export function parseAuthorization(line: ByteString): AuthorizationCommand {
  const { verb, argument, rest } = parseCommand(line)
  switch (verb) {
    case 'user':
      return argument === '' ? { kind: 'malformed' } : { kind: 'user', name: argument }
    case 'pass':
      // Empty where the mail program has none: that is a wrong one, and it is to ask for another.
      return { kind: 'pass', password: rest }
    case 'auth':
      return parseAuth(argument)
    case 'capa':
    case 'stls':
    case 'noop':
    case 'quit':
    case 'utf8':
      return { kind: verb }
    default:
      return { kind: 'other' }
  }
}

/** RFC 5034 §4; the mechanism in capitals (RFC 4422 §3.1). */
function parseAuth(argument: ByteString): AuthorizationCommand {
  const words = argument.split(' ').filter((word) => word !== '')
  const [mechanism = '', initial, ...more] = words
  if (mechanism === '') return { kind: 'mechanisms' }
  if (more.length > 0 || !/^[A-Za-z0-9_-]{1,20}$/.test(mechanism)) return { kind: 'malformed' }
  return { kind: 'auth', mechanism: mechanism.toUpperCase(), initial }
}

/** What the server sends in the middle of an exchange; `data` is base64 already. */
export function formatChallenge(data: ByteString): ByteString {
  return `+ ${data}\r\n`
}

export function authorizationError(which: keyof typeof authorizationErrors): ByteString {
  return errorReply(authorizationErrors[which])
}
