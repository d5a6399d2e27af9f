/** Every address that some reader of a field could take for the one that is meant. Mail programs read display names,
 *  encoded words, comments and what is not closed each in its own way; who wants to be sure that nobody is named but
 *  those he knows must know them all.
 *  Errs on the side of too many: text like an address counts wherever a reader could come upon it. */
import { type ByteString, fromBuffer, fromText, toBuffer } from '../../base/byte-string.ts'
import { parseAddressList } from './address-list.ts'
import { tokensOf } from './tokens.ts'

/** As envelopes have them. Only addresses with a domain: others are nobody's in particular. */
export function everyReading(value: ByteString): ByteString[] {
  const found: ByteString[] = []
  for (const { local, domain } of parseAddressList(value)?.addresses ?? []) {
    if (domain === '') continue
    found.push(`${local}@${domain}`)
    // "ceo@bank.example x"@host: not everybody knows that quotes may be in an address.
    for (const address of nakedAddresses(local)) found.push(address)
  }
  for (const address of nakedAddresses(visibleText(value))) found.push(address)
  for (const address of nakedAddresses(encodedText(value))) found.push(address)
  return found
}

/** The text in which `@` means what it says: not inside of comments and quoted strings, as long as everybody agrees where
 *  those end. Of encoded words the inside. */
function visibleText(value: ByteString): ByteString {
  const tokens = value.includes('\\') || hasNestedComment(value) ? undefined : tokensOf(value)
  let text = ''
  let at = 0
  for (const { kind, from, to } of tokens ?? []) {
    if (kind !== 'comment' && kind !== 'quoted') continue
    text += `${value.slice(at, from)} `
    at = to
  }
  return `${text}${value.slice(at)}`.replace(/=\?[^?\s]+\?[bq]\?/gi, ' ')
}

/** Not every reader counts how deep they are. */
function hasNestedComment(value: ByteString): boolean {
  return /\([^()]*\(/.test(value)
}

/** What encoded words say, if it could be taken for more than a name by readers who decode first and parse then, or who
 *  end a text at its first control character. */
function encodedText(value: ByteString): ByteString {
  let text = ''
  for (const [, charset = '', encoding = '', word = ''] of value.matchAll(/=\?([^?\s]+)\?([bq])\?([^?]*)\?=/gi))
    text += decoded(encoding.toLowerCase() === 'b' ? Buffer.from(word, 'base64') : toBuffer(decodeQ(word)), charset)
  return /[<>,;"]|[^ -~\x80-\uffff]/.test(text) ? fromText(text.replaceAll('\0', '')) : ''
}

/** In some alphabets `@` is half of a letter. */
function decoded(bytes: Buffer, charset: ByteString): string {
  try {
    return new TextDecoder(charset.replace(/\*.*/, '')).decode(bytes)
  } catch {
    return fromBuffer(bytes)
  }
}

/** RFC 2047 §4.2. */
function decodeQ(word: ByteString): ByteString {
  return word
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** What stands around each `@`, blanks about it and about dots left out (RFC 5322 §4.4). */
function nakedAddresses(text: ByteString): ByteString[] {
  if (!text.includes('@')) return []
  const dense = text.replace(/[ \t\r\n]+/g, ' ').replace(/ ?([.@]) ?/g, '$1')
  const found: ByteString[] = []
  let before = ''
  for (const [index, part] of dense.split('@').entries()) {
    const domain = /^(?:\[[^\]\s]*\]|[a-z0-9._\-\x80-\xff]*)/i.exec(part)?.[0].replace(/\.$/, '') ?? ''
    // Without a dot in it, it is nobody's host on the Internet, but may be half of a letter.
    if (index > 0 && before !== '' && /[.[]/.test(domain)) found.push(`${before}@${domain}`)
    before = localAtEnd(part)
  }
  return found
}

function localAtEnd(part: ByteString): ByteString {
  let from = part.length
  while (from > 0 && isLocalByte(part.charCodeAt(from - 1))) from--
  return part.slice(from)
}

function isLocalByte(code: number): boolean {
  return code > 32 && code !== 127 && !'()<>[]:;,"\\'.includes(String.fromCharCode(code))
}
