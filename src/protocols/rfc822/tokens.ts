/** The words of a structured header field (RFC 5322 §3.2), read so that nothing a person typed is an error: what is not
 *  closed ends with the field, a stray bracket is a letter, bytes from 128 up are letters.
 *  Knows:  atoms, quoted strings, domain literals, comments in comments, encoded words (RFC 2047 §5).
 *  Never:  recurses: a counter knows how deep a comment is. */
import type { ByteString } from '../../base/byte-string.ts'

/** Each is a token of its own. */
const specials = '<>,;:@.'
export type Special = '<' | '>' | ',' | ';' | ':' | '@' | '.'

export type Token =
  /** Without its quoting. `spaced`: something that is no token stands before it. */
  | { readonly kind: 'word'; readonly text: ByteString; readonly quoted: boolean; readonly spaced: boolean }
  /** With its brackets, without quoting. */
  | { readonly kind: 'literal'; readonly text: ByteString; readonly spaced: boolean }
  /** Without the outer parentheses and quoting; inner ones are part of the text. */
  | { readonly kind: 'comment'; readonly text: ByteString }
  | { readonly kind: 'special'; readonly text: Special; readonly spaced: boolean }

/** `value` is what stands behind the colon, folded or not. */
export function tokensOf(value: ByteString): Token[] {
  const text = value.replaceAll('\n', '')
  const tokens: Token[] = []
  let spaced = true
  for (let at = 0; at < text.length; ) {
    const byte = text.charAt(at)
    if (isBlank(byte)) {
      spaced = true
      at++
    } else if (byte === '(') {
      const comment = readComment(text, at)
      tokens.push({ kind: 'comment', text: comment.text })
      spaced = true
      at = comment.end
    } else {
      const read = readToken(text, at, byte, spaced)
      tokens.push(read.token)
      spaced = false
      at = read.end
    }
  }
  return tokens
}

function readToken(text: ByteString, at: number, byte: string, spaced: boolean): { token: Token; end: number } {
  if (specials.includes(byte)) return { token: { kind: 'special', text: byte as Special, spaced }, end: at + 1 }
  if (byte === '"') {
    const quoted = readUntil(text, at + 1, '"')
    return { token: { kind: 'word', text: quoted.text, quoted: true, spaced }, end: quoted.end }
  }
  if (byte === '[') {
    const literal = readUntil(text, at + 1, ']')
    return { token: { kind: 'literal', text: `[${literal.text}]`, spaced }, end: literal.end }
  }
  const encoded = text.startsWith('=?', at) ? encodedWordEnd(text, at) : undefined
  if (encoded !== undefined)
    return { token: { kind: 'word', text: text.slice(at, encoded), quoted: false, spaced }, end: encoded }
  const atom = readAtom(text, at)
  return { token: { kind: 'word', text: atom.text, quoted: false, spaced }, end: atom.end }
}

interface Read {
  readonly text: ByteString
  /** Where reading goes on. */
  readonly end: number
}

function readUntil(text: ByteString, from: number, close: string): Read {
  let content = ''
  for (let at = from; at < text.length; at++) {
    const byte = text.charAt(at)
    if (byte === close) return { text: content, end: at + 1 }
    content += byte === '\\' ? text.charAt(++at) : byte
  }
  return { text: content, end: text.length }
}

function readComment(text: ByteString, from: number): Read {
  let content = ''
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const byte = text.charAt(at)
    if (byte === '(' && depth++ === 0) continue
    if (byte === ')' && --depth === 0) return { text: content, end: at + 1 }
    content += byte === '\\' ? text.charAt(++at) : byte
  }
  return { text: content, end: text.length }
}

function readAtom(text: ByteString, from: number): Read {
  let content = ''
  let at = from
  for (; at < text.length; at++) {
    const byte = text.charAt(at)
    if (isBlank(byte) || specials.includes(byte) || byte === '(' || byte === '"' || byte === '[') break
    content += byte === '\\' ? text.charAt(++at) : byte
  }
  return { text: content, end: Math.min(at, text.length) }
}

/** RFC 2047 §2: at most 75 characters. */
const encodedWordBytesMax = 75

/** Mail programs leave dots in encoded words, which are no letters of an atom. Any other special in one is taken for
 *  what it is: nobody may hide an address there. */
function encodedWordEnd(text: ByteString, at: number): number | undefined {
  const found = encodedWord.exec(text.slice(at, at + encodedWordBytesMax))?.[0]
  return found === undefined ? undefined : at + found.length
}

const encodedWord = /^=\?[^?\s()<>@,;:"/[\].=\\]{1,40}\?[BbQq]\?[^?\s()<>@,;:"[\]\\]*\?=/

export function isEncodedWord(text: ByteString): boolean {
  return encodedWord.exec(text.slice(0, encodedWordBytesMax))?.[0].length === text.length
}

function isBlank(byte: string): boolean {
  return byte === ' ' || byte === '\t' || byte === '\r'
}

/** Letters of an atom (RFC 5322 §3.2.3), and bytes from 128 up (RFC 6532 §3.2). */
export function isAtom(text: ByteString): boolean {
  return /^[!#-'*+\-/0-9=?A-Z^_`a-z{-~\x80-\xff]+$/.test(text)
}

export function quoteString(text: ByteString): ByteString {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

export function quoteComment(text: ByteString): ByteString {
  return `(${text.replace(/[()\\]/g, '\\$&')})`
}
