/** What a plug-in says, line by line (qmail-spp): a letter, then its text.
 *  Knows:  the letters, and how a text from outside becomes a safe reply line or header line.
 *  Never:  what follows from a command; that is the session's.
 *  Fails:  a line that is no command is undefined, and is passed over as qmail-spp does. */
import type { ByteString } from '../../base/byte-string.ts'
import { quoted, type Reply } from '../smtp/replies.ts'

export type SavedFor = 'mail' | 'rcpt' | 'data'

export type Command =
  | { readonly kind: 'accept-off' }
  | { readonly kind: 'next' }
  | { readonly kind: 'ok' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'refuse' | 'refuse-drop'; readonly reply: Reply }
  /** A line before the reply. */
  | { readonly kind: 'print'; readonly text: ByteString }
  | { readonly kind: 'save'; readonly savedFor: SavedFor; readonly reply: Reply }
  | { readonly kind: 'set'; readonly name: ByteString; readonly value: ByteString }
  | { readonly kind: 'unset'; readonly name: ByteString }
  | { readonly kind: 'header'; readonly line: ByteString }
  | { readonly kind: 'address'; readonly address: ByteString }

/** RFC 5321 §4.5.3.1.5: 512 with its CRLF. */
const replyBytesMax = 510
const headerBytesMax = 998

const savedLetters: ReadonlyMap<string, SavedFor> = new Map([
  ['M', 'mail'],
  ['R', 'rcpt'],
  ['D', 'data'],
])

/** `line` without its line end. */
export function parseCommand(line: ByteString): Command | undefined {
  // A plug-in that writes CRLF means the same as one that writes LF.
  const rest = (line.endsWith('\r') ? line.slice(0, -1) : line).slice(1)
  switch (line.slice(0, 1)) {
    case 'A':
      return isBinary(rest) ? undefined : { kind: 'accept-off' }
    case 'N':
      return isBinary(rest) ? undefined : { kind: 'next' }
    case 'O':
      return isBinary(rest) ? undefined : { kind: 'ok' }
    case 'D':
      return { kind: 'drop' }
    case 'E':
      return { kind: 'refuse', reply: replyOf(rest, '451 ') }
    case 'R':
      return { kind: 'refuse-drop', reply: replyOf(rest, '421 ') }
    case 'P':
      return { kind: 'print', text: replyLine(rest, '250-') }
    case 'L':
      return saved(rest)
    case 'S':
      return setting(rest)
    case 'U':
      return isName(rest) ? { kind: 'unset', name: rest } : undefined
    case 'H':
      return headerLine(rest)
    case 'C':
      return { kind: 'address', address: rest.replace(/[\0\r\n]/g, '?') }
    default:
      return undefined
  }
}

/** No later line of the plug-in counts, and no later plug-in of the stage runs. */
export function isTerminating(command: Command): boolean {
  return ['accept-off', 'next', 'ok', 'drop', 'refuse', 'refuse-drop'].includes(command.kind)
}

/** Noise that happens to begin with a letter must not let a client in. */
function isBinary(text: ByteString): boolean {
  return /[^\t -~\x80-\xff]/.test(text)
}

function saved(rest: ByteString): Command | undefined {
  const savedFor = savedLetters.get(rest[0] ?? '')
  return savedFor === undefined ? undefined : { kind: 'save', savedFor, reply: replyOf(rest.slice(1), '451 ') }
}

function setting(rest: ByteString): Command | undefined {
  const equals = rest.indexOf('=')
  const name = rest.slice(0, equals)
  return equals > 0 && isName(name) && !rest.includes('\0')
    ? { kind: 'set', name, value: rest.slice(equals + 1) }
    : undefined
}

function isName(name: ByteString): boolean {
  return /^[!-<>-~]{1,200}$/.test(name)
}

function replyOf(text: ByteString, code: string): Reply {
  const line = replyLine(text, code)
  return quoted(Number(line.slice(0, 3)), line.slice(4))
}

/** One line of printable ASCII that a client can read as a reply: a text without a code gets `code` in front. */
function replyLine(text: ByteString, code: string): ByteString {
  const safe = text.replace(/[^ -~]/g, '?').slice(0, replyBytesMax)
  return /^[2-5][0-9][0-9](?:[ -]|$)/.test(safe) ? safe : `${code}${safe}`.slice(0, replyBytesMax)
}

/** A field, or the continuation of one: anything else would end the header and is passed over. */
export function headerLine(rest: ByteString): Command | undefined {
  const line = rest.slice(0, headerBytesMax).replace(/[^\t -~\x80-\xff]/g, '?')
  if (!/^(?:[\t ]|[!-9;-~]+:)/.test(line)) return undefined
  return { kind: 'header', line }
}
