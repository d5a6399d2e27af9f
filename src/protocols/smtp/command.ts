/** One SMTP command line (RFC 5321 §4.1.1), read as leniently as qmail-smtpd does: the verb is what is before the first
 *  space, in any case; the argument is the rest without leading spaces. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'

export interface Command {
  /** In lower case; empty for an empty line or a line that begins with a space. */
  readonly verb: ByteString
  readonly argument: ByteString
}

/** `line` is without its LF; one CR before that is dropped here. */
export function parseCommand(line: ByteString): Command {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  const space = text.indexOf(' ')
  if (space < 0) return { verb: lowerAscii(text), argument: '' }
  let from = space
  while (text[from] === ' ') from++
  return { verb: lowerAscii(text.slice(0, space)), argument: text.slice(from) }
}

const foreignVerbs: ReadonlySet<ByteString> = new Set([
  'get',
  'post',
  'put',
  'head',
  'options',
  'connect',
  'delete',
  'patch',
  'trace',
  'pri',
])

/** Another protocol: a web browser or proxy that an attacker has led here, at any time; or a peer whose first
 *  line does not begin with a word of letters. An empty line is no protocol. */
export function isForeignVerb(verb: ByteString, isFirstLine: boolean): boolean {
  return foreignVerbs.has(verb) || (isFirstLine && !/^[a-z]*$/.test(verb))
}

/** No command begins so: a TLS ClientHello or another binary protocol does. CR, LF, VT, FF, TAB are left to the parser. */
export function isBinaryByte(byte: number): boolean {
  return byte < 9 || (byte > 13 && byte < 32) || byte >= 127
}

/** True if a line holds a control character that no command needs. A tab is left to the reader of the argument. */
export function hasControl(text: ByteString): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 127 || (code < 32 && code !== 9)) return true
  }
  return false
}

/** Extension parameters after an address (RFC 5321 §4.1.2, Mail-parameters): `NAME` or `NAME=value`, names in capitals.
 *  Undefined if one is malformed or comes twice. */
export function parseParameters(text: ByteString): Map<string, ByteString> | undefined {
  const parameters = new Map<string, ByteString>()
  for (const word of text.split(' ')) {
    if (word === '') continue
    const equals = word.indexOf('=')
    const name = (equals < 0 ? word : word.slice(0, equals)).toUpperCase()
    const value = equals < 0 ? '' : word.slice(equals + 1)
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(name) || !/^[!-<>-~]*$/.test(value) || parameters.has(name)) return undefined
    parameters.set(name, value)
  }
  return parameters
}

/** RFC 1870 §3: at most 20 digits. A number beyond 2^53 is as good as endless. Undefined if malformed. */
export function parseSize(value: ByteString): number | undefined {
  return /^[0-9]{1,20}$/.test(value) ? Number(value) : undefined
}
