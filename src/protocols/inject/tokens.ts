/** The words of an address field as qmail-inject takes them apart and writes them again (RFC 822, qmail's reading of it).
 *  Readers of today's mail need rfc822/tokens.ts: this one keeps qmail's output, byte for byte.
 *  Knows:  quoting, spacing, folding. Never: what an address is.
 *  Fails:  undefined where something is not closed, or closed and not opened. */
import type { ByteString } from '../../base/byte-string.ts'

const specials = '.,@<>:;'
export type Special = '.' | ',' | '@' | '<' | '>' | ':' | ';'
type Text = 'atom' | 'quoted' | 'literal' | 'comment'

/** `text` is without quoting and, of a special, the special itself. */
export interface Token {
  readonly kind: Special | Text
  readonly text: ByteString
}

export function special(kind: Special): Token {
  return { kind, text: kind }
}

/** `field` is whole: with its name and its continuations. */
export function parseTokens(field: ByteString): Token[] | undefined {
  const tokens: Token[] = []
  for (let at = 0; at < field.length; ) {
    const byte = field.charAt(at)
    if (' \t\r\n'.includes(byte)) {
      at++
      continue
    }
    if (specials.includes(byte)) {
      tokens.push(special(byte as Special))
      at++
      continue
    }
    if (byte === ')' || byte === ']') return undefined
    const read = readText(field, at)
    if (read === undefined) return undefined
    tokens.push(read.token)
    at = read.end
  }
  return tokens
}

function readText(field: ByteString, from: number): { token: Token; end: number } | undefined {
  const byte = field.charAt(from)
  if (byte === '(') return readComment(field, from + 1)
  if (byte === '"') return readUntil(field, from + 1, '"', 'quoted')
  if (byte === '[') return readUntil(field, from + 1, ']', 'literal')
  let text = ''
  let at = from
  do {
    if (field[at] === '\\' && ++at >= field.length) break
    text += field.charAt(at++)
  } while (at < field.length && !' \t\r\n(["<>;:@,.'.includes(field.charAt(at)))
  // Written again, it needs quotes.
  return { token: { kind: /[^ -~]|[)\]\\]/.test(text) ? 'quoted' : 'atom', text }, end: at }
}

function readUntil(
  field: ByteString,
  from: number,
  close: string,
  kind: Text,
): { token: Token; end: number } | undefined {
  let text = ''
  for (let at = from; at < field.length; at++) {
    const byte = field.charAt(at)
    if (byte === close) return { token: { kind, text }, end: at + 1 }
    if (byte === '\\' && ++at >= field.length) return undefined
    text += field.charAt(at)
  }
  return undefined
}

/** Parentheses in it are forgotten. */
function readComment(field: ByteString, from: number): { token: Token; end: number } | undefined {
  let text = ''
  let depth = 1
  for (let at = from; at < field.length; at++) {
    const byte = field.charAt(at)
    if (byte === '(') depth++
    else if (byte === ')') {
      if (--depth === 0) return { token: { kind: 'comment', text }, end: at + 1 }
    } else {
      if (byte === '\\' && ++at >= field.length) return undefined
      text += field.charAt(at)
    }
  }
  return undefined
}

/** With a final LF, folded after commas where a line would have more than `columnsMax` bytes. */
export function printTokens(tokens: readonly Token[], columnsMax: number): ByteString {
  const pieces: ByteString[] = ['']
  let before: Token | undefined
  for (const token of tokens) {
    const piece = `${needsBlank(before, token) ? ' ' : ''}${printToken(token)}`
    pieces[pieces.length - 1] += piece
    if (token.kind === ',') pieces.push('')
    before = token
  }
  return fold(pieces, columnsMax)
}

/** Each piece but the last ends in a comma, each but the first begins with a blank. A break that may not be needed counts
 *  for its two bytes when the line with the next piece is measured. */
function fold(pieces: readonly ByteString[], columnsMax: number): ByteString {
  let text = ''
  let line = ''
  for (const [at, piece] of pieces.entries()) {
    if (at === 0) line = piece
    else if (line.length + 2 + piece.length <= columnsMax) line += piece
    else {
      text += `${line}\n`
      line = ` ${piece}`
    }
  }
  return `${text}${line}\n`
}

function printToken({ kind, text }: Token): ByteString {
  const inner = text.replace(/["[\]()\\\r\n]/g, '\\$&')
  if (kind === 'quoted') return `"${inner}"`
  if (kind === 'literal') return `[${inner}]`
  if (kind === 'comment') return `(${inner})`
  return kind === 'atom' ? inner : kind
}

function needsBlank(before: Token | undefined, { kind }: Token): boolean {
  if (before === undefined) return false
  if (before.kind === ':' || before.kind === ',' || kind === '<') return true
  return isText(before.kind) && isText(kind)
}

function isText(kind: Token['kind']): boolean {
  return kind === 'atom' || kind === 'quoted' || kind === 'literal' || kind === 'comment'
}

/** The address that these are, as an envelope has it. */
export function addressText(tokens: readonly Token[]): ByteString {
  return tokens.map(({ kind, text }) => (kind === 'comment' ? '' : kind === 'literal' ? `[${text}]` : text)).join('')
}
