/** The words of a structured header field (RFC 5322 §3.2), each with its place, so that what is not changed can stay as
 *  it is. Bytes from 128 up are letters.
 *  Knows:  atoms, quoted strings, domain literals, comments in comments, encoded words (RFC 2047 §2) of any length.
 *  Never:  recurses: a counter knows how deep a comment is.
 *  Fails:  undefined where readers differ about what is a word: something is not closed or not opened, a backslash or a
 *          control character stands alone (raw ISO-2022-JP does all of it). */
import type { ByteString } from '../../base/byte-string.ts'

/** Each is a token of its own. */
const specials = '<>,;:@.'
type Special = '<' | '>' | ',' | ';' | ':' | '@' | '.'

export interface Token {
  /** `encoded`: an encoded word, taken whole whatever stands in it: mail programs leave commas and dots there. */
  readonly kind: 'atom' | 'quoted' | 'encoded' | 'literal' | 'comment' | Special
  /** Of quoted strings without their quoting; of comments empty. */
  readonly text: ByteString
  /** Where it begins in the value, and where what follows begins. */
  readonly from: number
  readonly to: number
  /** Something that is no token, or a comment, stands before it. */
  readonly spaced: boolean
}

/** `value` is what follows the colon, folded or not. */
export function tokensOf(value: ByteString): Token[] | undefined {
  const tokens: Token[] = []
  let spaced = true
  for (let at = 0; at < value.length; ) {
    if (isBlank(value.charAt(at))) {
      spaced = true
      at++
      continue
    }
    const token = readToken(value, at, spaced)
    if (token === undefined) return undefined
    tokens.push(token)
    spaced = token.kind === 'comment'
    at = token.to
  }
  return tokens
}

function readToken(value: ByteString, from: number, spaced: boolean): Token | undefined {
  const byte = value.charAt(from)
  if (specials.includes(byte)) return { kind: byte as Special, text: byte, from, to: from + 1, spaced }
  if (byte === '(') {
    const to = commentEnd(value, from)
    return to === undefined ? undefined : { kind: 'comment', text: '', from, to, spaced }
  }
  if (byte === '"') {
    const read = readUntil(value, from + 1, '"')
    return read && { kind: 'quoted', text: read.text, from, to: read.end, spaced }
  }
  if (byte === '[') {
    const read = readUntil(value, from + 1, ']')
    return read && { kind: 'literal', text: `[${read.text}]`, from, to: read.end, spaced }
  }
  encodedWord.lastIndex = from
  if (byte === '=' && encodedWord.test(value))
    return { kind: 'encoded', text: value.slice(from, encodedWord.lastIndex), from, to: encodedWord.lastIndex, spaced }
  atom.lastIndex = from
  if (!atom.test(value)) return undefined
  return { kind: 'atom', text: value.slice(from, atom.lastIndex), from, to: atom.lastIndex, spaced }
}

function readUntil(value: ByteString, from: number, close: string): { text: ByteString; end: number } | undefined {
  let text = ''
  for (let at = from; at < value.length; at++) {
    const byte = value.charAt(at)
    if (byte === close) return { text, end: at + 1 }
    if (isControl(byte)) return undefined
    // The LF of a fold is no letter.
    if (byte !== '\n') text += byte === '\\' ? value.charAt(++at) : byte
  }
  return undefined
}

function commentEnd(value: ByteString, from: number): number | undefined {
  let depth = 0
  for (let at = from; at < value.length; at++) {
    const byte = value.charAt(at)
    if (isControl(byte)) return undefined
    if (byte === '\\') at++
    else if (byte === '(') depth++
    else if (byte === ')' && --depth === 0) return at + 1
  }
  return undefined
}

const encodedWord = /=\?[^?\s]+\?[bq]\?[!->@-~\x80-\xff]*\?=/iy
/** Whatever is no blank, no control character and does not begin another token. `]` alone is a letter. */
const atom = /[!#-'*+\-/0-9=?A-Z\]^_`a-z{|}~\x80-\xff]+/y

function isBlank(byte: string): boolean {
  return byte === ' ' || byte === '\t' || byte === '\n' || byte === '\r'
}

function isControl(byte: string): boolean {
  return (byte < ' ' && !isBlank(byte)) || byte === '\x7f'
}
